"""HDF5Data and HDF5Output: blobs from HDF5 files, and into one.

HDF5Data takes each top from the dataset of the top's name. The source lists the files; the first axis of
every dataset is its rows, and batches run on across the ends of files. Nothing is transformed.

HDF5Output writes its bottoms as the datasets `data` and `label`, both with four axes. Caffe dies of a
second batch, because the datasets are there already; here its rows are added to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import as_four, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class Hdf5DataParams:
    """The settings of HDF5Data that decide its shapes.

    Attributes:
        names: The tops', which are the datasets'.
    """

    batch_size: int
    names: tuple[str, ...]

    @classmethod
    def read(cls, layer: LayerParameter) -> Hdf5DataParams:
        """Reads `hdf5_data_param`."""
        param = layer.hdf5_data_param
        if not param.source:
            raise NetError("source is missing in hdf5_data_param; it is a text file that lists HDF5 files")
        if param.batch_size < 1:
            raise NetError(f"batch_size is {param.batch_size} in hdf5_data_param; it must be at least 1")
        if layer.HasField("transform_param"):
            raise NetError("HDF5Data does not transform data; remove transform_param")
        return cls(batch_size=param.batch_size, names=tuple(layer.top))


def data_shapes(params: Hdf5DataParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a batch of each dataset's rows."""
    if len(bottoms) != len(params.names):
        raise NetError(
            f"the rows' shape is known of {len(bottoms)} dataset(s), and there are {len(params.names)} tops"
        )
    return [(params.batch_size, *row) for row in bottoms]


def read_output(layer: LayerParameter) -> str:
    """Reads `hdf5_output_param`: the path of the file."""
    if not layer.hdf5_output_param.file_name:
        raise NetError("file_name is missing in hdf5_output_param; it is the file to write")
    return layer.hdf5_output_param.file_name


def output_shapes(_file_name: str, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns no top; the bottoms must have as many rows."""
    data, label = (as_four(bottom) for bottom in bottoms)
    if data[0] != label[0]:
        raise NetError(
            f"data and label must have as many rows; found {dims(bottoms[0])} and {dims(bottoms[1])}"
        )
    return []


register(
    LayerSpec(
        type="HDF5Data",
        bottoms=0,
        tops=(1, None),
        read=Hdf5DataParams.read,
        shapes=data_shapes,
        reads_source=True,
        note="needs h5py; the shapes of all files must agree, which Caffe does not check",
    )
)
register(
    LayerSpec(
        type="HDF5Output",
        bottoms=2,
        tops=0,
        read=read_output,
        shapes=output_shapes,
        note="needs h5py; the file is begun by the first forward, and each forward adds its rows",
    )
)

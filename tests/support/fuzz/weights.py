"""Files of weights: caffemodels of three formats, solver states, means, .npz, HDF5 and safetensors."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from hypothesis import strategies as st

from caffeflow.proto import binary, caffe_pb2
from caffeflow.proto.binary import LayerArrays, SolverStateArrays
from caffeflow.proto.hdf5_state import read_hdf5_state, write_hdf5_state
from caffeflow.weights.formats import read_weights, write_weights
from tests.support.fuzz.mutations import NUMBERS, bytes_near, mutated
from tests.support.fuzz.target import Target, of_files

_LAYERS: Final = (
    LayerArrays(
        "conv1", "Convolution", ("data",), ("conv1",), (np.ones((2, 3, 1, 1), "f"), np.zeros(2, "f"))
    ),
    LayerArrays("relu1", "ReLU", ("conv1",), ("conv1",), ()),
    LayerArrays("fc/b", "InnerProduct", ("conv1",), ("fc",), (np.ones((5, 7), "f"),)),
)
_STATE: Final = SolverStateArrays(
    iteration=7, learned_net="n.caffemodel", current_step=1, history=(np.ones((2, 3), "f"),), minimum_loss=1.0
)

# tags of fields, with lengths that no file has
_LIES: Final = (b"\x2a\xff\xff\xff\xff\x07", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x0b\x0a\x09" + b"\xff" * 8 + b"\x7f",
                b"\x42\x08" + b"\xff" * 8, b"\x60\x07", b"\x62\x03abc", b"\x0a\x01\xff", b"\x08\x00\x10\x00",
                b"\x3b" * 200, b"\x45abcd", b"\x41abcdefgh")  # fmt: skip


def _written(write: Callable[[Path], None], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


@cache
def _file(ending: str) -> bytes:
    return _written(lambda path: write_weights(path, name="net", layers=_LAYERS), f"w{ending}")


def _old_caffemodel() -> bytes:
    """Returns a caffemodel with V1 and V0 layers, unpacked and double values among them."""
    net = caffe_pb2.NetParameter(name="old")
    v1 = net.layers.add(name="fc", type="INNER_PRODUCT", bottom=["a"], top=["b"])
    v1.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    v0 = net.layers.add()
    v0.layer.name, v0.layer.type = "old", "conv"
    v0.layer.blobs.add(num=1, channels=1, height=1, width=2, double_data=[7, 8])
    return net.SerializeToString()


def _blob(**fields: object) -> bytes:
    return caffe_pb2.BlobProto(**fields).SerializeToString()


@st.composite
def _shaped(draw: st.DrawFn) -> bytes:
    """Draws a caffemodel of one blob whose shape need not fit its values."""
    dims = st.sampled_from((0, 1, 2, 3, -1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63)))
    blob = caffe_pb2.BlobProto(data=draw(st.lists(st.just(1.0), max_size=6)))
    blob.shape.dim.extend(draw(st.lists(dims, max_size=5) | st.just([1] * 70)))
    if draw(st.booleans()):
        blob.double_data.extend(draw(st.lists(st.sampled_from((1e300, 1.0, float("nan"))), max_size=4)))
    net = caffe_pb2.NetParameter()
    net.layer.add(name="a", type="Scale").blobs.append(blob)
    return net.SerializeToString()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@st.composite
def _zipped(draw: st.DrawFn) -> bytes:
    """Draws an .npz whose members are damaged before they are packed, so that its check sums hold."""
    file = io.BytesIO()
    packing = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name in draw(st.lists(st.sampled_from(_MEMBERS), min_size=1, max_size=2, unique=True)):
            archive.writestr(name, draw(bytes_near(_NPYS, (*NUMBERS, *_HEADERS))))
    return draw(mutated([file.getvalue()])) if draw(st.booleans()) else file.getvalue()


def _hdf5_state(path: Path) -> None:
    write_hdf5_state(path, _STATE)


def _of_format(ending: str, seeds: Sequence[bytes] = (), pieces: Sequence[bytes] = ()) -> Target:
    inputs = bytes_near([_file(ending), *seeds], (*NUMBERS, *pieces))
    special = {".caffemodel": _shaped, ".npz": _zipped}.get(ending)
    return of_files(ending, inputs | special() if special else inputs, read_weights, f"w{ending}")


_HEADERS: Final = (b'{"', b'"blobs": -1', b'"blobs": 1e999', b"[" * 5000, b"null", b'"layers": {}', b"NaN", b"F64",
                   b"BF16", b"I8", b'"shape":[0]', b"99999999999", b"fortran_order': True", b"'|O'", b"'<c8'",
                   b"(9999999999,)", b"((((", b"\xff\xfe")  # fmt: skip

_MEMBERS: Final = ("a/0.npy", "a/1.npy", "caffeflow.npy", "a/00.npy", "x")
_ARRAYS: Final = (np.ones((2, 3), "f"), np.array("{}"), np.ones(2, "<f8"), np.zeros((), "f2"))
_NPYS: Final = [_npy(array) for array in _ARRAYS]

TARGETS: Final = (
    _of_format(".caffemodel", [_old_caffemodel()], _LIES),
    _of_format(".npz", pieces=_HEADERS),
    _of_format(".h5", pieces=_HEADERS),
    _of_format(".safetensors", pieces=_HEADERS),
    of_files(
        "solver state",
        bytes_near([_written(lambda path: binary.write_solverstate(path, _STATE), "s")], (*NUMBERS, *_LIES)),
        binary.read_solverstate,
        "s.solverstate",
    ),
    of_files(
        "HDF5 solver state",
        bytes_near([_written(_hdf5_state, "s")], (*NUMBERS, *_HEADERS)),
        read_hdf5_state,
        "s.solverstate.h5",
    ),
    of_files(
        "mean",
        bytes_near(
            [
                _written(lambda path: binary.write_mean(path, np.ones((3, 2, 5), "f")), "m"),
                _blob(num=1, channels=1, height=2, width=2, double_data=[1, 2, 3, 4]),
            ],
            (*NUMBERS, *_LIES),
        ),
        binary.read_binaryproto,
        "mean.binaryproto",
    ),
)

"""The two forms in which Caffe writes weights and solverstates: binary protobuf and HDF5.

The one rule to know: a file is read as what its first bytes say, and written as the solver's
snapshot_format says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from caffeflow.engine.lines import LogLine
from caffeflow.engine.net import Net
from caffeflow.engine.ownership import Place, owned_blobs
from caffeflow.errors import NetError, WeightsError
from caffeflow.proto.binary import (
    LayerArrays,
    SolverStateArrays,
    read_caffemodel,
    read_solverstate,
    write_caffemodel,
    write_solverstate,
)
from caffeflow.proto.hdf5_reading import is_hdf5
from caffeflow.proto.hdf5_state import read_hdf5_state, write_hdf5_state
from caffeflow.proto.hdf5_weights import (
    Shared,
    caffe_cannot_find,
    check_names,
    read_hdf5,
    write_hdf5,
)


def check_hdf5() -> None:
    """Makes sure before the run that HDF5 can be written.

    Raises:
        ModuleNotFoundError: h5py is not installed; the commands say what installs it.
    """
    import h5py  # noqa: F401


def hdf5_remarks(net: Net) -> Iterator[LogLine]:
    """Makes sure before the run that HDF5 can hold a net, and yields what Caffe would not find in it.

    Raises:
        NetError: Layers' names that HDF5 cannot hold.
    """
    counts = [(layer.name, len(layer.tensors)) for layer in net.layers]
    try:
        check_names("snapshot_format is HDF5", counts)
    except WeightsError as error:
        raise NetError(str(error)) from None
    hidden = caffe_cannot_find(name for name, count in counts if count)
    if hidden:
        text = f"snapshot_format is HDF5: Caffe itself finds no layer with a '/' in its name: '{hidden[0]}'"
        more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
        yield LogLine("net.cpp:901", text + more, level="W")


def write_weights(path: str, net: Net, *, hdf5: bool) -> None:
    """Writes a net's learned blobs.

    Raises:
        DataError: The disk is full, or the folder not writable.
    """
    if hdf5:
        write_hdf5(Path(path), name=net.graph.name, layers=net.arrays())
    else:
        write_caffemodel(path, name=net.graph.name, layers=net.arrays())


def read_weights(path: str, net: Net) -> list[LayerArrays]:
    """Returns the layers of a file of weights for a net.

    Raises:
        WeightsError: It is missing, damaged, or something else.
    """
    if is_hdf5(path):
        return read_hdf5(Path(path), shared=shared_blobs(net))[1]
    return read_caffemodel(path)


def write_state(path: str, state: SolverStateArrays, *, hdf5: bool) -> None:
    """Writes a solverstate.

    Raises:
        DataError: The disk is full, or the folder not writable.
    """
    if hdf5:
        write_hdf5_state(path, state)
    else:
        write_solverstate(path, state)


def read_state(path: str) -> SolverStateArrays:
    """Returns the contents of a solverstate.

    Raises:
        WeightsError: It is missing, damaged, or something else.
    """
    return read_hdf5_state(path) if is_hdf5(path) else read_solverstate(path)


def shared_blobs(net: Net) -> Shared:
    """Returns what Caffe leaves out of HDF5: blobs of later layers that an earlier layer owns."""
    shared = {}
    for owned in owned_blobs(net.shapes.layers):
        owner, *others = owned.places
        for place in others:
            shape = net.shapes.layers[place.layer].blobs[place.blob].shape
            shared[_key(net, place)] = (_key(net, owner), shape)
    return shared


def _key(net: Net, place: Place) -> str:
    return f"{net.layers[place.layer].name}/{place.blob}"

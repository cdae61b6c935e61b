"""Solverstates in HDF5: Caffe's layout, and what is wrong with a file that is not one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow.errors import DataError, WeightsError
from caffeflow.proto.binary import SolverStateArrays
from caffeflow.proto.hdf5_state import read_hdf5_state, write_hdf5_state

HISTORY = tuple(np.arange(n, dtype=np.float32).reshape(shape) for n, shape in ((6, (2, 3)), (5, (5,))))
STATE = SolverStateArrays(7, "snapshots/été_iter_7.caffemodel.h5", 2, HISTORY)


def same(a: SolverStateArrays, b: SolverStateArrays) -> bool:
    facts = [(s.iteration, s.learned_net, s.current_step, s.minimum_loss, s.last_event) for s in (a, b)]
    arrays = zip(a.history, b.history, strict=True)
    return facts[0] == facts[1] and all(
        x.shape == y.shape and x.dtype == y.dtype and bool((x == y).all()) for x, y in arrays
    )


@pytest.mark.parametrize(
    "state",
    [
        STATE,
        SolverStateArrays(0, "", 0, ()),
        SolverStateArrays(9, "w", 1, HISTORY, minimum_loss=0.25, last_event=4),
        SolverStateArrays(
            9, "w", 1, tuple(np.full(n + 1, n, np.float32) for n in range(12))
        ),  # "10" < "2" as text
    ],
)
def test_what_is_written_is_read(tmp_path: Path, state: SolverStateArrays) -> None:
    write_hdf5_state(tmp_path / "s.h5", state)
    assert same(read_hdf5_state(tmp_path / "s.h5"), state)


def test_the_layout_is_caffes(tmp_path: Path) -> None:
    write_hdf5_state(tmp_path / "s.h5", STATE)
    with h5py.File(tmp_path / "s.h5") as file:
        wanted = {"iter", "learned_net", "current_step", "history"}
        assert set(file) == wanted | {"iter_last_event", "minimum_loss"}  # which the SSD fork insists on
        assert (file["minimum_loss"][()], file["iter_last_event"][()]) == (np.finfo(np.float32).max, 0)
        for name in ("iter", "current_step", "iter_last_event"):
            assert (file[name].shape, file[name].dtype) == ((1,), np.dtype("<i4"))
        text = file["learned_net"]
        # Caffe reads so many bytes into a buffer of that size, and takes them for a C string.
        assert (text.shape, text.id.get_type().is_variable_str()) == ((), False)
        assert text.id.get_type().get_size() == len(STATE.learned_net.encode()) + 1
        assert set(file["history"]) == {"0", "1"}
        assert file["history/0"].dtype == np.dtype("<f4")


def test_bvlcs_files_have_no_loss_to_watch(tmp_path: Path) -> None:
    write_hdf5_state(tmp_path / "s.h5", STATE)
    with h5py.File(tmp_path / "s.h5", "a") as file:
        del file["minimum_loss"], file["iter_last_event"]
    assert same(read_hdf5_state(tmp_path / "s.h5"), STATE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.__delitem__("iter"), "holds no 'iter'"),
        (lambda f: f.__delitem__("current_step"), "holds no 'current_step'"),
        (lambda f: f.__delitem__("history"), "no group 'history'"),
        (lambda f: f.__delitem__("history/0"), "'history/0' is missing, while 'history' holds 1"),
        (lambda f: f["history"].__setitem__("x", np.ones(2, "f4")), "'history/2' is missing"),
        (lambda f: f["history"].__setitem__("2", np.arange(3)), "'history/2' holds int64"),
        (lambda f: f["history"].__setitem__("2", h5py.SoftLink("/iter")), "link to somewhere else"),
        (lambda f: (f.__delitem__("iter"), f.__setitem__("iter", np.ones(2, "i4"))), "'iter' is 2 values"),
        (lambda f: (f.__delitem__("iter"), f.__setitem__("iter", np.ones(1, "f4"))), "one whole number"),
        (lambda f: (f.__delitem__("learned_net"), f.__setitem__("learned_net", 3)), "'learned_net' is not"),
        (
            lambda f: (f.__delitem__("learned_net"), f.create_dataset("learned_net", (1 << 40,), "S9")),
            "'learned_net' is not text of fixed",
        ),
        (
            lambda f: (f.__delitem__("iter"), f.__setitem__("iter", h5py.ExternalLink("/dev/zero", "x"))),
            "'iter' is a link to somewhere else",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, spoil: Callable[[h5py.File], object], words: str) -> None:
    path = tmp_path / "s.solverstate.h5"
    write_hdf5_state(path, STATE)
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(WeightsError, match=words) as caught:
        read_hdf5_state(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_text_of_another_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "s.solverstate.h5"
    write_hdf5_state(path, STATE)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.array(b"secret", "S7")
    layout = h5py.VirtualLayout(shape=(), dtype="S7")
    layout[()] = h5py.VirtualSource(tmp_path / "other.h5", "x", shape=(), dtype="S7")
    with h5py.File(path, "a") as file:
        del file["learned_net"]
        file.create_virtual_dataset("learned_net", layout)
        assert file["learned_net"][()] == b"secret"
    with pytest.raises(WeightsError, match="'learned_net' is not text of fixed length"):
        read_hdf5_state(path)


@pytest.mark.parametrize("kept", [0, 40, 700])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "s.solverstate.h5"
    write_hdf5_state(path, STATE)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"s\.solverstate\.h5: cannot be read as HDF5"):
        read_hdf5_state(path)


def test_a_file_that_another_takes_the_place_of_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.h5"
    write_hdf5_state(path, STATE)

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(h5py.Group, "create_group", full)
        with pytest.raises(DataError, match=r"s\.h5: cannot write: No space left"):
            write_hdf5_state(path, SolverStateArrays(8, "other", 0, ()))
    assert [each.name for each in tmp_path.iterdir()] == ["s.h5"]
    assert same(read_hdf5_state(path), STATE)

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from caffeflow.errors import UsageError, WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.formats import read_weights, read_weights_file, write_weights

ENDINGS = (".caffemodel", ".caffemodel.h5", ".npz", ".safetensors")
# A quiet and a signalling NaN with payloads, minus zero, infinities, the smallest subnormal.
ODD_BITS = (0x7FC00001, 0x7F800123, 0xFFC12345, 0x80000000, 0x7F800000, 0xFF800000, 0x00000001)


def layers() -> list[LayerArrays]:
    rng = np.random.default_rng(0)
    odd = np.array(ODD_BITS, np.uint32).view(np.float32)
    return [
        LayerArrays("data", "Input", (), ("data",), ()),
        LayerArrays(
            "file", "Convolution", ("data",), ("c",), (rng.random((5, 3, 2, 1), np.float32), odd[:5])
        ),
        LayerArrays("c/bn", "BatchNorm", ("c",), ("c",), (odd, odd[::-1].copy(), np.ones(1, np.float32))),
        LayerArrays("größe", "Scale", ("c",), ("c",), (np.array(3, np.float32),)),
        LayerArrays("old", "InnerProduct", ("c",), ("ip", "x"), (rng.random((1, 1, 2, 7), np.float32),)),
    ]


def bits(found: list[LayerArrays]) -> list[tuple[object, ...]]:
    return [
        (each.name, each.type, each.bottoms, each.tops, [(a.shape, a.tobytes()) for a in each.arrays])
        for each in found
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read_bit_by_bit(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{ending}"
    write_weights(path, name="tiny", layers=layers())
    found = read_weights_file(path)
    assert found.name == "tiny"
    assert bits(list(found.layers)) == bits(layers())
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_there_and_back_is_the_same_file(ending: str, tmp_path: Path) -> None:
    first, there, back = (tmp_path / f"{name}" for name in ("a.caffemodel", f"b{ending}", "c.caffemodel"))
    write_weights(first, name="tiny", layers=layers())
    write_weights(there, name="tiny", layers=read_weights(first))
    write_weights(back, name=read_weights_file(there).name, layers=read_weights(there))
    assert back.read_bytes() == first.read_bytes()
    again = tmp_path / f"d{ending}"
    write_weights(again, name="tiny", layers=layers())
    assert again.read_bytes() == there.read_bytes()


def test_other_tools_find_blobs_by_layer_and_number(tmp_path: Path) -> None:
    for ending in ENDINGS[1:]:
        write_weights(tmp_path / f"net{ending}", name="tiny", layers=layers())
    wanted = layers()[1].arrays[0]
    with np.load(tmp_path / "net.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["file/0"], wanted)
    np.testing.assert_array_equal(load_file(tmp_path / "net.safetensors")["file/0"], wanted)
    with h5py.File(tmp_path / "net.caffemodel.h5") as file:
        np.testing.assert_array_equal(file["data/file/0"][()], wanted)
        assert sorted(file["data"]) == ["c", "file", "größe", "old"]


def test_files_of_other_tools_are_read_without_types(tmp_path: Path) -> None:
    weight, half = np.arange(6, dtype=np.float64).reshape(2, 3), np.array([0.5, 2], np.float16)
    np.savez_compressed(tmp_path / "w.npz", **{"a/b/0": weight, "a/b/1": half})
    save_file({"a/b/0": weight, "a/b/1": half}, tmp_path / "w.safetensors")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/a/b/0"], file["data/a/b/1"] = weight, half
        file.create_group("data/a/relu")
        file.create_group("diff")
    for ending in ("npz", "safetensors", "h5"):
        (read,) = read_weights(tmp_path / f"w.{ending}")
        assert (read.name, read.type) == ("a/b", "")
        assert [array.dtype for array in read.arrays] == [np.float32, np.float32]
        np.testing.assert_array_equal(read.arrays[0], weight)
        np.testing.assert_array_equal(read.arrays[1], half)


def test_a_file_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.npz", name="n", layers=layers())
    renamed = (tmp_path / "w.npz").rename(tmp_path / "w.caffemodel")
    assert bits(read_weights(renamed)) == bits(layers())


@pytest.mark.parametrize("ending", ENDINGS[1:])
def test_two_layers_of_a_name_need_a_caffemodel(ending: str, tmp_path: Path) -> None:
    twice = [layers()[1], layers()[1]]
    with pytest.raises(WeightsError, match="'file'"):
        write_weights(tmp_path / f"w{ending}", name="n", layers=twice)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/./b"])
def test_names_that_hdf5_cannot_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="HDF5"):
        write_weights(
            tmp_path / "w.h5", name="n", layers=[LayerArrays(name, "", (), (), (np.ones(2, "f4"),))]
        )
    assert not list(tmp_path.iterdir())


def test_a_blob_and_a_layer_of_one_path(tmp_path: Path) -> None:
    one = np.ones(2, np.float32)
    both = [LayerArrays(name, "", (), (), (one,)) for name in ("a", "a/0")]
    for order in (both, both[::-1]):
        with pytest.raises(WeightsError, match="a blob and a layer"):
            write_weights(tmp_path / "w.h5", name="n", layers=order)
    assert not list(tmp_path.iterdir())


def test_an_ending_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.npz"):
        write_weights(tmp_path / "w.bin", name="n", layers=layers())


def zip_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".npy", content)
    return path


def npy_of(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=True)
    return out.getvalue()


def huge_npy() -> bytes:
    """A header that promises 4 TB, and 8 bytes."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    return out.getvalue() + bytes(8)


class Trap:
    """Would end the test run if it were unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (npy_of(np.array([Trap()], object)), "unpickled"),
        (huge_npy(), "all of them in the file"),
        (npy_of(np.arange(3)), "int64"),
        (b"no npy", "no readable .npz"),
        (npy_of(np.ones(2, np.float32)).replace(b"(2,)", b"((((", 1), "no readable .npz"),
        (npy_of(np.ones(2, np.float32)).replace(b"(2,)", b"(-2)", 1), "readable"),
        (npy_of(np.zeros(1 << 22, np.float32))[:-5], "claims|readable|in the file"),
    ],
)
def test_npz_with_something_else(content: bytes, expected: str, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "w.npz", a__0=content)
    with pytest.raises(WeightsError, match=expected) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)


def test_a_pytorch_file_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    with pytest.raises(WeightsError, match="weights import"):
        read_weights(tmp_path / "m.pth")


@pytest.mark.parametrize("keys", [["conv1.weight"], ["a/01"], ["a/1"], ["a/x"], ["a/" + "9" * 5000]])
def test_keys_that_are_no_blobs(keys: list[str], tmp_path: Path) -> None:
    save_file({key: np.ones(2, np.float32) for key in keys}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"weights import|lacks its blob 0"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "header",
    ["no json", '{"layers": 3}', '{"name": "n", "layers": []}', json.dumps({"name": "n", "layers": [
        {"name": "a", "type": "Scale", "bottoms": [], "tops": [], "blobs": 2}]}),
        "[" * 100_000, '{"name": "", "layers": [{"name": "a", "blobs": 1e999}]}'],
)  # fmt: skip
def test_a_header_that_does_not_fit(header: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a/0": np.ones(2, np.float32)}, path, metadata={"caffeflow": header})
    with pytest.raises(WeightsError, match="header"):
        read_weights(path)


def test_safetensors_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, name="n", layers=layers())
    content = path.read_bytes()
    for damaged in (content[:-1], content[:40], struct.pack("<Q", 1 << 60) + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="readable"):
            read_weights(path)


def test_hdf5_that_points_elsewhere_or_promises_too_much(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    for make, expected in (
        (lambda data: data.__setitem__("a/0", h5py.SoftLink("/etc")), "link"),
        (lambda data: data.__setitem__("a", h5py.ExternalLink("/etc/passwd", "x")), "link"),
        (lambda data: data.create_dataset("a/0", shape=(1 << 40,), dtype="f4", chunks=(1 << 10,)), "claims"),
        (lambda data: data.create_dataset("a/0", data=np.arange(3)), "int64"),
        (lambda data: data.create_dataset("a/1", data=np.ones(3)), "shares with another"),
        (lambda data: data.create_dataset("a/x", data=np.ones(3)), "no blob"),
        (lambda data: data.__setitem__("a", data), "twice"),
        (
            lambda data: data.update({"a/0": np.ones(3)}) or data.update({"a/1": data["a/0"]}),
            "'a/1' is there twice",
        ),
    ):
        with h5py.File(path, "w") as file:
            make(file.create_group("data"))
        with pytest.raises(WeightsError, match=expected):
            read_weights(path)
    with h5py.File(path, "w") as file:
        file["other"] = np.ones(3)
    with pytest.raises(WeightsError, match="'data'"):
        read_weights(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="HDF5"):
        read_weights(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.npz"):
        read_weights(tmp_path / "none.npz")

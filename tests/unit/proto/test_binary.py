from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow.errors import WeightsError
from caffeflow.proto import binary, caffe_pb2
from caffeflow.proto.binary import LayerArrays, SolverStateArrays


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def layers() -> list[LayerArrays]:
    weight = rng().standard_normal((3, 2, 5, 7)).astype(np.float32)
    bias = rng().standard_normal(3).astype(np.float32)
    return [
        LayerArrays("conv1", "Convolution", ("data",), ("conv1",), (weight, bias)),
        LayerArrays("relu1", "ReLU", ("conv1",), ("conv1",), ()),
    ]


def test_a_written_caffemodel_is_what_the_full_schema_reads(tmp_path: Path) -> None:
    binary.write_caffemodel(tmp_path / "w.caffemodel", name="tiny", layers=layers())
    net = caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    assert (net.name, [layer.type for layer in net.layer]) == ("tiny", ["Convolution", "ReLU"])
    blob = net.layer[0].blobs[0]
    assert list(blob.shape.dim) == [3, 2, 5, 7]
    np.testing.assert_array_equal(np.array(blob.data, np.float32), layers()[0].arrays[0].ravel())


def test_what_the_full_schema_writes_is_read(tmp_path: Path) -> None:
    net = caffe_pb2.NetParameter(name="n")
    layer = net.layer.add(name="ip", type="InnerProduct", bottom=["x"], top=["y"])
    layer.inner_product_param.num_output = 2
    layer.blobs.add(data=[1, 2, 3, 4, 5, 6]).shape.dim.extend([2, 3])
    layer.blobs.add(double_data=[0.5, 0.25]).shape.dim.extend([2])
    path = tmp_path / "n.caffemodel"
    path.write_bytes(net.SerializeToString())
    (read,) = binary.read_caffemodel(path)
    assert (read.name, read.type, read.bottoms, read.tops) == ("ip", "InnerProduct", ("x",), ("y",))
    np.testing.assert_array_equal(read.arrays[0], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(read.arrays[1], np.array([0.5, 0.25], np.float32))


def test_v1_and_v0_caffemodels_keep_names_types_and_legacy_shapes(tmp_path: Path) -> None:
    net = caffe_pb2.NetParameter()
    v1 = net.layers.add(name="fc", type="INNER_PRODUCT")
    v1.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    v0 = net.layers.add()
    v0.layer.name, v0.layer.type = "old", "conv"
    v0.layer.blobs.add(num=1, channels=1, height=1, width=2, data=[7, 8])
    (tmp_path / "old.caffemodel").write_bytes(net.SerializeToString())
    read = binary.read_caffemodel(tmp_path / "old.caffemodel")
    assert [(layer.name, layer.type) for layer in read] == [("fc", "InnerProduct"), ("old", "conv")]
    assert read[0].arrays[0].shape == (1, 1, 2, 3)
    np.testing.assert_array_equal(read[1].arrays[0].ravel(), [7, 8])


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_unpacked_floats_of_early_writers_are_read(tmp_path: Path) -> None:
    floats = b"".join(varint(5 << 3 | 5) + np.float32(value).tobytes() for value in (1.5, -2.0))
    blob = floats + field(7, varint(1 << 3 | 0) + varint(2))  # shape { dim: 2 }, unpacked as well
    layer = field(1, b"ip") + field(7, blob)
    (tmp_path / "u.caffemodel").write_bytes(field(100, layer))
    (read,) = binary.read_caffemodel(tmp_path / "u.caffemodel")
    np.testing.assert_array_equal(read.arrays[0], [1.5, -2.0])


def test_settings_of_a_fork_with_other_numbers_do_not_disturb(tmp_path: Path) -> None:
    blob = field(5, np.float32(3).tobytes()) + field(7, field(1, varint(1)))
    # 151 is recurrent_param in one fork and something else in others; here it is no message at all.
    layer = field(1, b"x") + field(7, blob) + field(151, b"\xff\xff\xff") + varint(208 << 3) + varint(5)
    (tmp_path / "f.caffemodel").write_bytes(field(100, layer))
    assert binary.read_caffemodel(tmp_path / "f.caffemodel")[0].arrays[0].tolist() == [3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git-lfs pointer"),
        (b"\n<!DOCTYPE html><html>not found</html>", "HTML page"),
        (b"<html><body>login</body></html>", "HTML page"),
        (b"\x89HDF\r\n\x1a\n0000", "HDF5"),
        (b"PK\x03\x04zip", "zip"),
        (b'name: "net"\nlayer {\n}', "no caffemodel"),
        (field(1, b"just a name"), "holds no layer"),
    ],
)
def test_what_is_no_caffemodel_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        binary.read_caffemodel(path)
    assert str(path) in str(caught.value)


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        binary.read_caffemodel(tmp_path / "none.caffemodel")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_caffemodel_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "w.caffemodel"
    binary.write_caffemodel(path, name="tiny", layers=layers())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="truncated"):
        binary.read_caffemodel(path)


def test_blob_whose_shape_and_values_disagree_is_refused(tmp_path: Path) -> None:
    net = caffe_pb2.NetParameter()
    net.layer.add(name="ip").blobs.add(data=[1, 2, 3]).shape.dim.extend([2, 2])
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(WeightsError, match=r"layer 'ip'.*2 2 \(4\) holds 3 values"):
        binary.read_caffemodel(tmp_path / "w.caffemodel")


def test_solverstate_round_trip_and_full_schema(tmp_path: Path) -> None:
    path = tmp_path / "s.solverstate"
    history = (rng().standard_normal((2, 3)).astype(np.float32), np.zeros((1,), np.float32))
    binary.write_solverstate(path, SolverStateArrays(7, "w.caffemodel", 2, history))
    full = caffe_pb2.SolverState.FromString(path.read_bytes())
    assert (full.iter, full.learned_net, full.current_step) == (7, "w.caffemodel", 2)
    assert list(full.history[0].shape.dim) == [2, 3]
    read = binary.read_solverstate(path)
    assert (read.iteration, read.learned_net, read.current_step) == (7, "w.caffemodel", 2)
    for got, wanted in zip(read.history, history, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_mean_has_the_legacy_form_of_caffes_tool(tmp_path: Path) -> None:
    mean = rng().standard_normal((3, 5, 7)).astype(np.float32)
    binary.write_mean(tmp_path / "mean.binaryproto", mean)
    full = caffe_pb2.BlobProto.FromString((tmp_path / "mean.binaryproto").read_bytes())
    assert (full.num, full.channels, full.height, full.width) == (1, 3, 5, 7)
    assert not full.HasField("shape")
    np.testing.assert_array_equal(binary.read_binaryproto(tmp_path / "mean.binaryproto")[0], mean)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    binary.write_caffemodel(path, name="first", layers=layers())
    before = path.read_bytes()

    def broken():
        yield layers()[0]
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        binary.write_caffemodel(path, name="second", layers=broken())
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".w")] == []


@pytest.mark.parametrize(("number", "kind"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_raw_blobs_of_nvcaffe_are_read(number: int, kind: str, tmp_path: Path) -> None:
    values = np.array([0.5, -2, 1024, 0.0625, 3, np.inf], kind)
    raw = field(7, field(1, varint(2) + varint(3))) + varint(10 << 3) + varint(number)
    blob = raw + field(12, values.tobytes())
    (tmp_path / "nv.caffemodel").write_bytes(field(100, field(1, b"ip") + field(7, blob)))
    (read,) = binary.read_caffemodel(tmp_path / "nv.caffemodel")
    assert read.arrays[0].dtype == np.float32
    np.testing.assert_array_equal(read.arrays[0], values.astype(np.float32).reshape(2, 3))


@pytest.mark.parametrize(("number", "size"), [(3, 8), (2, 5)])
def test_raw_blobs_of_something_else_are_named(number: int, size: int, tmp_path: Path) -> None:
    blob = field(7, field(1, varint(2))) + varint(10 << 3) + varint(number) + field(12, bytes(size))
    (tmp_path / "nv.caffemodel").write_bytes(field(100, field(1, b"ip") + field(7, blob)))
    with pytest.raises(WeightsError, match=r"layer 'ip'.*raw type"):
        binary.read_caffemodel(tmp_path / "nv.caffemodel")


def test_the_nets_name_is_kept(tmp_path: Path) -> None:
    binary.write_caffemodel(tmp_path / "w.caffemodel", name="tiny", layers=layers())
    name, read = binary.read_named_caffemodel(tmp_path / "w.caffemodel")
    assert (name, [layer.name for layer in read]) == ("tiny", ["conv1", "relu1"])


DIMS = {
    "negative": ([-1, -6], "-1 x -6; expected sizes from 0 on"),
    "too many axes": ([1] * 33, "33 axes"),
    "gigabytes": ([2**40, 2**40], "at most 2147483647 values"),
    "gigabytes beside nothing": ([0, 2**31, 2**31], "at most 2147483647 values"),
    "another number": ([2, 2], "holds 6 values"),
}


@pytest.mark.parametrize("case", DIMS)
def test_a_blob_whose_shape_no_caffe_takes_is_refused(tmp_path: Path, case: str) -> None:
    dims, words = DIMS[case]
    net = caffe_pb2.NetParameter()
    blob = net.layer.add(name="ip").blobs.add(data=range(6))
    blob.shape.dim.extend(dims)
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(WeightsError, match=words) as caught:
        binary.read_caffemodel(tmp_path / "w.caffemodel")
    assert "layer 'ip'" in str(caught.value)


@pytest.mark.parametrize(("number", "size"), [(5, 4), (8, 8)])
def test_values_that_are_cut_short_are_refused(tmp_path: Path, number: int, size: int) -> None:
    blob = field(number, b"\0" * (size + 1)) + field(7, field(1, varint(1)))
    (tmp_path / "w.caffemodel").write_bytes(field(100, field(1, b"x") + field(7, blob)))
    with pytest.raises(WeightsError, match=f"{size + 1} bytes of values; expected a multiple of {size}"):
        binary.read_caffemodel(tmp_path / "w.caffemodel")


def test_a_double_that_single_precision_cannot_hold_is_infinite_as_in_caffe(tmp_path: Path) -> None:
    net = caffe_pb2.NetParameter()
    net.layer.add(name="ip").blobs.add(double_data=[1e300, 0.5]).shape.dim.append(2)
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    assert binary.read_caffemodel(tmp_path / "w.caffemodel")[0].arrays[0].tolist() == [float("inf"), 0.5]

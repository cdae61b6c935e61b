from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto import caffe_pb2
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.weights.formats import read_weights

NET = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "out" type: "InnerProduct" bottom: "ip" top: "out" inner_product_param { num_output: 2 } }
"""


def layer(name: str, *arrays: np.ndarray) -> LayerArrays:
    return LayerArrays(name, "InnerProduct", ("x",), (name,), tuple(a.astype(np.float32) for a in arrays))


def arrays(seed: int, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(outputs, inputs)), rng.normal(size=outputs)


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    Path("net.prototxt").write_text(NET)
    write_caffemodel(
        "a.caffemodel", name="a", layers=[layer("ip", *arrays(0, 5, 3)), layer("out", *arrays(1, 2, 5))]
    )


def test_equal_files_of_two_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "convert", "a.caffemodel", "--out", "made/a.caffemodel.h5"]) == 0
    assert "32 values" in capsys.readouterr().out
    assert run(["weights", "diff", "a.caffemodel", "made/a.caffemodel.h5"]) == 0
    assert "2 equal" in capsys.readouterr().out
    assert run(["weights", "convert", "made/a.caffemodel.h5", "--out", "b.caffemodel"]) == 0
    assert Path("b.caffemodel").read_bytes() == Path("a.caffemodel").read_bytes()


def test_differences_are_a_table_and_exit_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    weight, bias = arrays(0, 5, 3)
    weight[2, 1] += 0.25
    write_caffemodel(
        "b.caffemodel", name="b", layers=[layer("ip", weight, bias), layer("new", *arrays(1, 2, 7))]
    )
    assert run(["weights", "diff", "a.caffemodel", "b.caffemodel"]) == 1
    out, err = capsys.readouterr()
    assert "0.25" in out
    assert "1 different, 1 first only, 1 second only" in out
    assert "differ in 3 of 3 layers" in err
    assert run(["weights", "diff", "a.caffemodel", "b.caffemodel", "--json"]) == 1
    rows = {row["layer"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["ip"]["largest"] == pytest.approx(0.25)
    assert rows["new"] == {
        "layer": "new", "state": "second only", "first": [], "second": [[2, 7], [2]], "largest": None,
        "relative": None,
    }  # fmt: skip


def test_a_tolerance_passes_small_differences(capsys: pytest.CaptureFixture[str]) -> None:
    moved = [LayerArrays(each.name, each.type, each.bottoms, each.tops, tuple(a + np.float32(1e-4) for a in each.arrays))
             for each in read_caffemodel("a.caffemodel")]  # fmt: skip
    write_caffemodel("b.caffemodel", name="b", layers=moved)
    assert run(["weights", "diff", "a.caffemodel", "b.caffemodel"]) == 1
    assert run(["weights", "diff", "a.caffemodel", "b.caffemodel", "--tolerance", "1e-3"]) == 0
    assert "2 within tolerance" in capsys.readouterr().out


def test_a_file_against_a_net_says_what_copying_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "diff", "a.caffemodel", "net.prototxt"]) == 0
    assert "2 copied" in capsys.readouterr().out
    made = [layer("ip", *arrays(0, 7, 3)), layer("out", arrays(1, 2, 5)[0]), layer("extra", *arrays(2, 2, 3))]
    write_caffemodel("b.caffemodel", name="b", layers=made)
    assert run(["weights", "diff", "b.caffemodel", "net.prototxt"]) == 1
    out, err = capsys.readouterr()
    assert "blob 0 is 7 3 (21) in the file and 5 3 (15) in the net" in out
    assert "the file has 1 blobs, the net wants 2" in out
    assert "1 skipped, 2 mismatched" in out
    assert "b.caffemodel: layers that do not fit net.prototxt: 2" in err


def test_weights_of_another_net_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    write_caffemodel("b.caffemodel", name="b", layers=[layer("fc6", *arrays(0, 7, 3))])
    assert run(["weights", "diff", "b.caffemodel", "net.prototxt"]) == 1
    assert "weights of another net" in capsys.readouterr().err


def test_layers_are_copied_under_other_names(capsys: pytest.CaptureFixture[str]) -> None:
    weight, bias = arrays(0, 5, 3)
    old = [layer("fc", weight.reshape(1, 1, 5, 3), bias.reshape(1, 1, 1, 5)), layer("fc9", *arrays(2, 9, 5))]
    write_caffemodel("old.caffemodel", name="old", layers=old)
    assert (
        run(["weights", "copy", "old.caffemodel", "--to", "net.prototxt", "--map", "fc=ip", "--out", "n.npz"])
        == 0
    )
    out = capsys.readouterr().out
    assert "1 copied, 1 new, 1 skipped" in out
    assert "n.npz: 20 values" in out
    (copied,) = read_weights("n.npz")
    assert (copied.name, copied.type, copied.bottoms, copied.tops) == ("ip", "InnerProduct", ("x",), ("ip",))
    assert [array.shape for array in copied.arrays] == [(5, 3), (5,)]
    np.testing.assert_array_equal(copied.arrays[0], weight.astype(np.float32))


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--map", "fc=ip"], 2, "has no layer 'fc'"),
        (["--map", "out=oout"], 2, "did you mean 'out'"),
        (["--map", "out=ip"], 2, "two layers 'ip'"),
        (["--map", "ip"], 2, "OLD=NEW"),
        (["--map", "ip=out", "--map", "out=ip"], 6, "do not fit net.prototxt: 2"),
        (["--out", "a.caffemodel"], 2, "choose another --out"),
        (["--out", "net.prototxt"], 2, "expected .caffemodel"),
    ],
)
def test_what_cannot_be_copied_is_said(
    words: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("a.caffemodel").read_bytes()
    assert run(["weights", "copy", "a.caffemodel", "--to", "net.prototxt", "--out", "n.npz", *words]) == code
    assert expected in capsys.readouterr().err
    assert not Path("n.npz").exists()
    assert Path("a.caffemodel").read_bytes() == before


def test_nothing_in_common_is_no_copy(capsys: pytest.CaptureFixture[str]) -> None:
    write_caffemodel("b.caffemodel", name="b", layers=[layer("fc6", *arrays(0, 7, 3))])
    assert run(["weights", "copy", "b.caffemodel", "--to", "net.prototxt", "--out", "n.npz"]) == 6
    assert "weights diff b.caffemodel net.prototxt" in capsys.readouterr().err


def test_conversion_warns_of_what_caffe_would_not_find(capsys: pytest.CaptureFixture[str]) -> None:
    bad = arrays(0, 5, 3)[0]
    bad[0, 0] = math.nan
    write_caffemodel("b.caffemodel", name="b", layers=[layer("block/ip", bad.reshape(1, 1, 5, 3))])
    assert run(["weights", "convert", "b.caffemodel", "--out", "b.h5"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "nan or infinite in layer 'block/ip'" in err
    assert "'/' in their names in HDF5: layer 'block/ip'" in err
    assert "no four-dimensional blobs of old files from HDF5: layer 'block/ip'" in err
    assert read_weights("b.h5")[0].arrays[0].tobytes() == read_weights("b.caffemodel")[0].arrays[0].tobytes()


def test_files_are_replaced_only_with_force(capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.npz").write_bytes(b"mine")
    assert run(["weights", "convert", "a.caffemodel", "--out", "b.npz"]) == 2
    assert Path("b.npz").read_bytes() == b"mine"
    assert run(["weights", "convert", "a.caffemodel", "--out", "b.npz", "--force"]) == 0


def test_caffemodels_of_old_formats_become_those_of_today() -> None:
    net = caffe_pb2.NetParameter(name="old")
    v1 = net.layers.add(name="fc", type="INNER_PRODUCT")
    v1.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    v0 = net.layers.add()
    v0.layer.name, v0.layer.type = "older", "conv"
    v0.layer.blobs.add(num=1, channels=1, height=1, width=2, data=[7, 8])
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    assert run(["weights", "convert", "old.caffemodel", "--out", "new.caffemodel"]) == 0
    written = caffe_pb2.NetParameter.FromString(Path("new.caffemodel").read_bytes())
    assert (written.name, [each.name for each in written.layer], len(written.layers)) == (
        "old",
        ["fc", "older"],
        0,
    )
    assert list(written.layer[0].blobs[0].shape.dim) == [1, 1, 2, 3]
    assert list(written.layer[1].blobs[0].data) == [7, 8]

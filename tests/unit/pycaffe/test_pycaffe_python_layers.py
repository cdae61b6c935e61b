"""Python layers in `caffe.Net`: what BVLC's own tests of them look at, and what users rely on beside."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import NetError
from tests.support.pycaffe_nets import SCRIPTS, write_python_net


@pytest.fixture(autouse=True)
def user_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", caffe)
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "layers_of_users", raising=False)


def python_layer(name: str, bottoms: str, tops: str, kind: str, more: str = "") -> str:
    links = "".join(f' bottom: "{blob}"' for blob in bottoms.split())
    links += "".join(f' top: "{blob}"' for blob in tops.split())
    param = f'python_param {{ module: "layers_of_users" layer: "{kind}" {more} }}'
    return f'layer {{ name: "{name}" type: "Python" {links} {param} }}\n'


def input_of(*shape: int) -> str:
    dims = " ".join(f"dim: {length}" for length in shape)
    text = f"input_param {{ shape {{ {dims} }} }}"
    return f'force_backward: true layer {{ name: "data" type: "Input" top: "data" {text} }}\n'


def net_of(folder: Path, text: str, phase: int = caffe.TRAIN) -> caffe.Net:
    path = folder / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), phase)


def chain(*tops: str) -> str:
    blobs = ["data", *tops]
    return "".join(
        python_layer(top, bottom, top, "Multiply", 'param_str: "10"')
        for bottom, top in zip(blobs, tops, strict=False)
    )


def test_forward_backward_and_reshape(tmp_path: Path) -> None:
    net = net_of(tmp_path, input_of(5, 3, 2, 7) + chain("one", "two", "three"))
    net.blobs["data"].data[...] = 8
    net.forward()
    assert np.unique(net.blobs["three"].data).tolist() == [8000]
    net.blobs["three"].diff[...] = 7
    net.backward()
    assert np.unique(net.blobs["data"].diff).tolist() == [7000]
    net.blobs["data"].reshape(4, 2, 3, 2)
    net.forward()
    assert {blob.shape for blob in net.blobs.values()} == {(4, 2, 3, 2)}


def test_a_layer_in_place(tmp_path: Path) -> None:
    net = net_of(
        tmp_path, input_of(2, 3) + python_layer("ten", "data", "data", "Multiply", 'param_str: "10"')
    )
    net.blobs["data"].data[...] = 3
    net.forward()
    assert np.unique(net.blobs["data"].data).tolist() == [30]


def test_what_a_layer_writes_into_its_bottom_is_seen_by_nobody(tmp_path: Path) -> None:
    ten = 'param_str: "10"'
    wiping = python_layer("wipe", "one", "", "Wipe")
    net = net_of(
        tmp_path, input_of(2, 3) + chain("one") + wiping + python_layer("two", "one", "two", "Multiply", ten)
    )
    net.blobs["data"].data[...] = 1
    net.forward()
    assert np.unique(net.blobs["one"].data).tolist() == [10]
    assert np.unique(net.blobs["two"].data).tolist() == [100]


def test_the_object_of_the_user_is_the_layer_of_the_net(tmp_path: Path) -> None:
    net = net_of(tmp_path, input_of(2, 3) + chain("one"))
    layer = net.layer_dict["one"]
    assert (type(layer).__name__, layer.type, layer.factor) == ("Multiply", "Python", 10)  # type: ignore[attr-defined]
    assert isinstance(layer, caffe.Layer)
    assert isinstance(net.layer_dict["data"], caffe.Layer)
    layer.factor = 2  # type: ignore[attr-defined]
    net.blobs["data"].data[...] = 1
    assert np.unique(net.forward()["one"]).tolist() == [2]


def test_the_phase_and_batches_of_a_layer_that_brings_data(tmp_path: Path) -> None:
    text = python_layer("waves", "", "waves phase", "Waves")
    for phase in (caffe.TRAIN, caffe.TEST):
        net = net_of(tmp_path, text, phase)
        first = net.forward()["waves"].copy()
        assert float(net.blobs["phase"].data[0]) == phase
        assert not np.array_equal(net.forward()["waves"], first)


def test_learned_blobs_are_those_of_the_net(tmp_path: Path) -> None:
    text = input_of(5, 3) + python_layer("offset", "data", "top", "Offset")
    net = net_of(tmp_path, text)
    own, seen = net.layers[1].blobs[0], net.params["offset"][0]
    assert own.data.tolist() == seen.data.tolist() == [0, 1, 2]
    net.forward()
    net.blobs["top"].diff[...] = 2
    for _ in range(2):
        net.backward()
    assert own.diff.tolist() == seen.diff.tolist() == [20, 20, 20]  # diffs of learned blobs add up
    path = str(tmp_path / "w.caffemodel")
    net.save(path)
    own.data[...] = -1
    assert seen.data.tolist() == [-1, -1, -1]
    other = net_of(tmp_path, text)
    other.share_with(net)
    other.blobs["data"].data[...] = 0
    assert np.unique(other.forward()["top"]).tolist() == [-1]
    net.copy_from(path)
    assert own.data.tolist() == other.layers[1].blobs[0].data.tolist() == [0, 1, 2]


@pytest.mark.parametrize("place", ["setup", "forward", "backward"])
def test_what_a_layer_raises_passes_through_and_names_it(place: str, tmp_path: Path) -> None:
    text = input_of(2, 3) + python_layer("bad", "data", "top", "Broken", f'param_str: "{place}"')

    def use() -> None:
        net = net_of(tmp_path, text)
        net.forward()
        net.backward()

    with pytest.raises(RuntimeError, match=f"broken on purpose in {place}") as caught:
        use()
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("raised by the Python layer 'bad'") == 1


@pytest.mark.parametrize(
    ("module", "kind", "words"),
    [
        ("no_such_module", "Multiply", r"module 'no_such_module' is not found.*PYTHONPATH"),
        ("./layers_of_users.py", "Multiply", r"'\./layers_of_users\.py' is no name that Python imports"),
        (".layers_of_users", "Multiply", r"'\.layers_of_users' is no name that Python imports"),
        ("layers_of_users", "Multipli", r"has no class 'Multipli'; did you mean 'Multiply'"),
        ("layers_of_users", "no_layer", r"is no class derived from caffe\.Layer"),
        ("layers_of_users", "", r"must give module and layer"),
    ],
)
def test_what_is_no_layer_is_told(module: str, kind: str, words: str, tmp_path: Path) -> None:
    text = f'layer {{ name: "a" type: "Python" python_param {{ module: "{module}" layer: "{kind}" }} }}'
    with pytest.raises(NetError, match=rf"net\.prototxt:1: layer 'a': .*{words}"):
        net_of(tmp_path, text)


def test_a_solver_trains_python_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.set_random_seed(4)
    solver = caffe.SGDSolver(str(write_python_net(tmp_path)[1]))
    offset = solver.net.params["offset"][0].data.copy()
    solver.step(1)
    first = float(solver.net.blobs["loss"].data[0])
    solver.step(30)
    assert float(solver.net.blobs["loss"].data[0]) < first / 2
    assert not np.array_equal(solver.net.layer_dict["offset"].blobs[0].data, offset)

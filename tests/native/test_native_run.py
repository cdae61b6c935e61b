"""The real binary through `native.run`: it trains what we prepare and render, and says why it dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.run import find_caffe, layer_types, run_caffe_train
from caffeflow.proto.binary import read_caffemodel
from caffeflow.report.log import parse_log
from tests.support.native import NativeCaffe, Report
from tests.support.native_nets import make_digits, render

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits(tmp_path_factory.mktemp("digits"))


def test_layer_types_are_those_of_its_own_python(caffe: NativeCaffe) -> None:
    found = layer_types(caffe.tool("caffe"))
    assert found == set(caffe.facts()["layer_types"])
    assert {"Clip", "Convolution", "Swish"} <= found
    assert "ReLU6" not in found


def test_its_tree_and_its_program_are_found(caffe: NativeCaffe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(caffe.tool("caffe").parent))
    assert find_caffe() == caffe.tool("caffe")


def test_trains_what_we_prepare_and_render(
    caffe: NativeCaffe, digits: Path, tmp_path: Path, report: Report
) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet", solver__max_iter="300")
    lines: list[str] = []
    run_caffe_train(caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=lines.append)
    (run,) = parse_log(lines)
    assert run.ended == "done"
    accuracy = run.test[-1].outputs["accuracy"]
    report(
        "lenet on digits by the binary", f"accuracy {accuracy:.4f} after {run.test[-1].iteration} iterations"
    )
    assert accuracy > 0.9
    (weights,) = rendered.parent.rglob("*_iter_300.caffemodel")
    assert {layer.name for layer in read_caffemodel(weights) if layer.arrays} == {
        "conv1",
        "conv2",
        "ip1",
        "ip2",
    }


def test_interrupt_lets_it_snapshot_and_end_well(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet", solver__display="1")
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if "Iteration 3 " in line:
            os.kill(os.getpid(), signal.SIGINT)

    run_caffe_train(caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=on_line)
    assert any("Optimization stopped early" in line for line in lines)
    assert len(list(rendered.parent.rglob("*_iter_*.caffemodel"))) == 1


def test_hangup_lets_it_snapshot_and_go_on(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render(
        "lenet", data=digits, out=tmp_path / "lenet", solver__display="1", solver__max_iter="20"
    )

    def on_line(line: str) -> None:
        if "Iteration 3 " in line:
            os.kill(os.getpid(), signal.SIGHUP)

    run_caffe_train(caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=on_line)
    assert len(list(rendered.parent.rglob("*_iter_*.caffemodel"))) == 2


def test_a_gpu_that_it_has_no_code_for(caffe: NativeCaffe, digits: Path, tmp_path: Path) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet")
    with pytest.raises(NativeError, match=r"CPU-only.*solver_mode: CPU"):
        run_caffe_train(
            caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=lambda _: None, gpu="0"
        )


def test_a_layer_type_it_lacks_is_told_before_it_starts(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet")
    net = rendered / "train_val.prototxt"
    net.write_text(net.read_text().replace('"ReLU"', '"ReLU6"'))
    lines: list[str] = []
    with pytest.raises(NativeError, match=r"train_val\.prototxt:\d+: layer 'relu1'.*'ReLU6'"):
        run_caffe_train(caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=lines.append)
    assert lines == []


def test_a_missing_database_is_told_by_caffes_last_words(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet")
    net = rendered / "train_val.prototxt"
    net.write_text(net.read_text().replace("train_lmdb", "nowhere_lmdb"))
    with pytest.raises(NativeError, match=r"No such file or directory.*source is missing"):
        run_caffe_train(
            caffe=caffe.tool("caffe"), solver=rendered / "solver.prototxt", on_line=lambda _: None
        )


def test_a_field_it_does_not_know_is_told_with_protobufs_place(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    rendered = render("lenet", data=digits, out=tmp_path / "lenet")
    solver = rendered / "solver.prototxt"
    solver.write_text(solver.read_text() + 'eval_type: "classification"\n')  # the SSD fork's
    with pytest.raises(NativeError, match=r'no field named "eval_type"'):
        run_caffe_train(caffe=caffe.tool("caffe"), solver=solver, on_line=lambda _: None)

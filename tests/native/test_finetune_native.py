"""The real Caffe goes on from what `caffeflow finetune` writes, with the weights that it is given."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, read_caffemodel
from caffeflow.weights.copying import copy_table
from caffeflow.workflows.finetune import FinetuneReport, FinetuneRequest, finetune
from caffeflow.workflows.open_net import Ask
from caffeflow.workflows.weights import InitRequest, initialize
from tests.support.native import NativeCaffe, environment
from tests.support.native_nets import make_digits

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits(tmp_path_factory.mktemp("digits"))


def prepared(digits: Path, folder: Path, **more: str) -> FinetuneReport:
    """Fine-tunes lenet's first weights to the digits, frozen up to its second pooling."""
    weights = folder / "lenet.caffemodel"
    initialize(InitRequest(ask=Ask(net="lenet"), out=weights, seed=5))
    request = FinetuneRequest(
        origin="lenet",
        command="caffeflow finetune --from lenet",
        weights=str(weights),
        data_dir=digits,
        freeze="pool2",
        out_dir=folder / "tuned",
        assignments={"solver.max_iter": "3", "solver.mode": "CPU", "solver.snapshot": "3", **more},
    )
    return finetune(request)


def by_name(path: Path) -> dict[str, LayerArrays]:
    return {layer.name: layer for layer in read_caffemodel(path) if layer.arrays}


def test_the_script_trains_from_the_weights_and_leaves_what_is_frozen(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    report = prepared(digits, tmp_path)
    done = subprocess.run(
        [report.out_dir / "train.sh"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment(threads=1) | {"CAFFE": str(caffe.tool("caffe"))},
    )  # fmt: skip
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-3000:]
    assert f"Finetuning from {tmp_path / 'lenet.caffemodel'}" in log
    assert "Ignoring source layer ip2" in log
    for layer in ("conv1", "pool1", "conv2", "pool2"):
        assert f"{layer} does not need backward computation." in log
    assert "ip1 needs backward computation." in log
    before = by_name(tmp_path / "lenet.caffemodel")
    after = by_name(next(report.out_dir.glob("snapshots/*_iter_3.caffemodel")))
    assert list(after) == ["conv1", "conv2", "ip1", "ip2_dataset"]
    for name in ("conv1", "conv2"):
        for one, other in zip(before[name].arrays, after[name].arrays, strict=True):
            np.testing.assert_array_equal(one, other)
    moved = np.abs(after["ip1"].arrays[0] - before["ip1"].arrays[0])
    assert 0 < moved.max() < 0.05


def test_a_snapshot_of_the_real_caffe_is_copied_whole(
    caffe: NativeCaffe, digits: Path, tmp_path: Path
) -> None:
    report = prepared(digits, tmp_path)
    caffe.run("caffe", "train", f"--solver={report.solver}", cwd=tmp_path)
    snapshot = by_name(next(report.out_dir.glob("snapshots/*_iter_3.caffemodel")))
    shapes = {name: [array.shape for array in layer.arrays] for name, layer in snapshot.items()}
    again = finetune(
        FinetuneRequest(
            origin=str(report.out_dir / "train_val.prototxt"),
            command="caffeflow finetune",
            weights=str(next(report.out_dir.glob("snapshots/*_iter_3.caffemodel"))),
            data_dir=digits,
            name="more",
            out_dir=tmp_path / "more",
        )
    )
    assert again.table is not None
    assert again.table.layers("copied") == ["conv1", "conv2", "ip1"]
    assert again.table.layers("new") == ["ip2_dataset_more"]
    assert copy_table(list(snapshot.values()), shapes).count("copied") == 4


def test_it_goes_straight_on_with_the_real_caffe(
    caffe: NativeCaffe, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    initialize(InitRequest(ask=Ask(net="lenet"), out=tmp_path / "lenet.caffemodel", seed=5))
    words = [
        "--from",
        "lenet",
        "--weights",
        "lenet.caffemodel",
        "--data",
        str(digits),
        "--max-iter",
        "2",
        "--cpu",
    ]
    more = ["--train", "--engine", "caffe", "--caffe", str(caffe.tool("caffe")), "--json"]
    assert run(["finetune", *words, *more]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["training"]["iterations"] == 2
    log = Path(report["training"]["run"], "caffe.log").read_text()
    assert log.count("Finetuning from ") == 2  # the train net and the test net

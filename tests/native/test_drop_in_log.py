"""Every line that is logged about a net with branches, with debug_info and without: Caffe's and the stand-in's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from caffeflow.proto.binary import LayerArrays, write_caffemodel
from tests.support.drop_in_project import write_project
from tests.support.mixed_images import file_bytes
from tests.support.native import NativeCaffe, environment

pytestmark = pytest.mark.native

NET = """name: "branched"
layer { name: "mnist" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 } data_param { source: "train_lmdb" batch_size: 7 backend: LMDB } }
layer { name: "mnist" type: "Data" top: "data" top: "label" include { phase: TEST stage: "often" }
  transform_param { scale: 0.00390625 } data_param { source: "val_lmdb" batch_size: 5 backend: LMDB } }
layer { name: "mnist" type: "Data" top: "data" top: "label" include { phase: TEST not_stage: "often" }
  transform_param { scale: 0.00390625 } data_param { source: "val_lmdb" batch_size: 3 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 }
  convolution_param { num_output: 3 kernel_size: 5 stride: 3 bias_term: false } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1" }
layer { name: "tanh1" type: "TanH" bottom: "bn1" top: "bn1" }
layer { name: "ip1" type: "InnerProduct" bottom: "bn1" top: "ip1" param { name: "w" } param { lr_mult: 0 }
  inner_product_param { num_output: 11 } }
layer { name: "ip1b" type: "InnerProduct" bottom: "bn1" top: "ip1b" param { name: "w" } param { lr_mult: 2 }
  inner_product_param { num_output: 11 } propagate_down: false }
layer { name: "sum" type: "Eltwise" bottom: "ip1" bottom: "ip1b" top: "sum" }
layer { name: "tanh2" type: "TanH" bottom: "sum" top: "sum" }
layer { name: "ip2" type: "InnerProduct" bottom: "sum" top: "ip2" inner_product_param { num_output: 10 } }
layer { name: "mid" type: "Reduction" bottom: "ip1b" top: "mid" loss_weight: 0.01
  reduction_param { operation: SUMSQ } }
layer { name: "shown" type: "Power" bottom: "mid" top: "shown" power_param { scale: 2 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "deep" type: "Silence" bottom: "ip2" include { min_level: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" exclude { phase: TRAIN } }
layer { name: "quiet" type: "Silence" bottom: "prob" include { phase: TEST max_level: 1 } }
"""
SOLVER = """net: "branched.prototxt" test_iter: 2 test_iter: 3 test_interval: 2
test_state { stage: "often" } test_state { level: 1 }
base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "fixed" DEBUG
display: 2 max_iter: 4 snapshot_prefix: "branched" snapshot_after_train: false solver_mode: CPU random_seed: 1
"""
INLINE = """{ name: "inline"
  layer { name: "in" type: "DummyData" top: "data" top: "label" dummy_data_param {
    shape { dim: 3 dim: 5 } shape { dim: 3 } data_filler { value: 0.5 } data_filler { value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
    inner_product_param { num_output: 4 weight_filler { type: "constant" value: 0.125 } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" } }
"""
TWICE = "test_iter: 2 test_iter: 1 test_interval: 2"
LISTED = """{ name: "listed"
  layer { name: "in" type: "ImageData" top: "data" top: "label"
    image_data_param { source: "listed.txt" batch_size: 2 }
    transform_param { scale: 0.00390625 } }
  layer { name: "ip_listed" type: "InnerProduct" bottom: "data" top: "ip"
    inner_product_param { num_output: 4 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" } }
"""
NETS = {
    "net_param with ImageData": f"net_param {LISTED}",
    "net_param": f"net_param {INLINE}",
    "net_param to test": f"net_param {INLINE} test_iter: 2 test_interval: 2",
    "train and test files": f'train_net: "branched.prototxt" test_net: "branched.prototxt"'
    f' test_net: "branched.prototxt" {TWICE} test_state {{ stage: "a" }} test_state {{ level: 1 }}',
    "train and test params": f"train_net_param {INLINE} test_net_param {INLINE} test_net_param {INLINE} {TWICE}",
}
SOLVER_OF_FORMS = """ type: "Adam" base_lr: 0.01 momentum: 0.9 momentum2: 0.99 lr_policy: "multistep" gamma: 0.1
stepvalue: 1 stepvalue: 3 average_loss: 2 iter_size: 2 test_initialization: false test_compute_loss: true
display: 1 max_iter: 4 snapshot: 2 snapshot_prefix: "forms" solver_mode: CPU random_seed: 1
"""
SHAPES = {
    "conv1": (3, 1, 5, 5),
    "ip1": (11, 75),
    "ip1b": (11, 75),
    "ip2": (10, 11),
    "ip": (4, 5),
    "ip_listed": (4, 105),
}
PREFIX = re.compile(r"^[IWEF]\d{4} [\d:.]+ +\d+ ([a-z_]+\.[ch]pp:\d+)\] ")
SPEED = re.compile(r" \([^)]*iter/s, [^)]*iters\)")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
OF_THE_FEED = ("Restarting data prefetching", "Waiting for data")


def write_weights(path: Path) -> None:
    rng = np.random.default_rng(13)
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    weights["ip1b"] = weights["ip1"]
    biases = {name: rng.normal(0, 0.1, len(weights[name])).astype(np.float32) for name in SHAPES}
    layers = [
        LayerArrays(
            name=name,
            type="any",
            bottoms=(),
            tops=(),
            arrays=(array,) if name == "conv1" else (array, biases[name]),
        )
        for name, array in weights.items()
    ]
    write_caffemodel(path, name="branched", layers=layers)


def write_listed_images(folder: Path) -> None:
    rng = np.random.default_rng(17)
    for number in range(3):
        pixels = rng.integers(0, 256, (5, 7, 3), np.uint8)
        (folder / f"{number}.png").write_bytes(file_bytes(pixels, "png"))
    (folder / "listed.txt").write_text("".join(f"{number}.png {number}\n" for number in range(3)))


BEGINS = "Starting Optimization"
TRAIN = ("train", "-solver", "solver.prototxt", "-weights", "branched.caffemodel")


def log_of(
    command: Sequence[str | Path], folder: Path, *, words: Sequence[str], solver: str, net: str
) -> list[str]:
    """Returns all lines of a log without prefixes and speeds."""
    write_project(folder, solver=solver)
    (folder / "branched.prototxt").write_text(net)
    write_weights(folder / "branched.caffemodel")
    write_listed_images(folder)
    done = subprocess.run(
        [*command, *words],
        cwd=folder, env=environment(threads=1), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [SPEED.sub("", PREFIX.sub("", line)) for line in done.stderr.splitlines()]
    return [line for line in lines if not line.startswith(OF_THE_FEED)]


def assert_same_log(
    caffe: NativeCaffe,
    folder: Path,
    begins: str,
    *,
    words: Sequence[str] = TRAIN,
    solver: str = SOLVER,
    net: str = NET,
    rel: float | None = 2e-5,
) -> list[str]:
    """Compares all lines, and returns them.

    Args:
        caffe: The real one.
        folder: Gets both runs' folders.
        begins: The line up to which all must be equal to the letter.
        words: The command.
        solver: Solver.
        net: Net.
        rel: How far numbers may differ afterwards; None: they are times.
    """
    run = partial(log_of, words=words, solver=solver, net=net)
    theirs = run([caffe.tool("caffe")], folder / "theirs")
    ours = run([sys.executable, "-m", "caffeflow.drop_in"], folder / "ours")
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    begin = theirs.index(begins)
    assert ours[:begin] == theirs[:begin]
    if rel is None:
        return ours
    for mine, expected in zip(ours[begin:], theirs[begin:], strict=True):
        found = [float(value) for value in NUMBER.findall(mine)]
        known = [float(value) for value in NUMBER.findall(expected)]
        assert found == pytest.approx(known, rel=rel, abs=1e-9), mine
    return ours


def test_every_line_is_caffes(caffe: NativeCaffe, tmp_path: Path) -> None:
    lines = assert_same_log(caffe, tmp_path, BEGINS, solver=SOLVER.replace("DEBUG", ""))
    assert not any("[Forward]" in line for line in lines)


@pytest.mark.parametrize("force", ["", "force_backward: true "])
def test_every_blob_is_shown_as_caffes(caffe: NativeCaffe, tmp_path: Path, force: str) -> None:
    solver = SOLVER.replace("DEBUG", "debug_info: true")
    lines = assert_same_log(caffe, tmp_path, BEGINS, solver=solver, net=force + NET)
    assert len([line for line in lines if "[Forward]" in line or "[Backward]" in line]) > 300


@pytest.mark.parametrize("nets", NETS)
def test_nets_are_named_in_every_way_that_a_solver_has(caffe: NativeCaffe, tmp_path: Path, nets: str) -> None:
    lines = assert_same_log(caffe, tmp_path, BEGINS, solver=NETS[nets] + SOLVER_OF_FORMS)
    assert lines[-1] == "Optimization Done."


def test_a_net_that_asks_to_be_shown_is_shown_when_it_is_tested(caffe: NativeCaffe, tmp_path: Path) -> None:
    words = [
        "test",
        "-model=branched.prototxt",
        "-weights=branched.caffemodel",
        "-iterations=2",
        "-stage=often",
    ]
    lines = assert_same_log(
        caffe, tmp_path, "Running for 2 iterations.", words=words, net=f"debug_info: true {NET}"
    )
    assert "[Forward] Layer ip2_ip2_0_split, top blob ip2_ip2_0_split_2 data" in "".join(lines)


def test_split_layers_are_timed(caffe: NativeCaffe, tmp_path: Path) -> None:
    words = ("time", "-model", "branched.prototxt", "-iterations", "2")
    lines = assert_same_log(caffe, tmp_path, "Performing Forward", words=words, rel=None)
    assert sum(line.lstrip().startswith("ip1b_ip1b_0_split\t") for line in lines) == 2

"""mobilenet-ssd-voc and ssd300-voc against the published prototxts, message by message: 0 layers differ.

SSD300 is published as a script, weiliu89/caffe (branch ssd): examples/ssd/ssd_pascal.py. What it writes, with its
own settings, is looked for in `ssd300_generated`.

Not compared are names of files and folders; nor, where tests write no files, the save_output_param that
tells the published SSD300 where to put them. The published deploy file has it as well, though it tests
nothing: whoever loads it loses the folder's contents, so that is not followed.
"""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter
from caffeflow.proto.text import parse
from caffeflow.render.render import render_in_memory
from tests.support.published import check_equal, published_file

MOBILENET = {"train": 187, "test": 191, "deploy": 119}
SSD300 = {"train": 99, "test": 103, "deploy": 101}


@pytest.mark.parametrize("stage", list(MOBILENET))
def test_every_layer_of_mobilenet_ssd_is_the_published_one(stage: str) -> None:
    published = published_file("MobileNet-SSD", f"voc/MobileNetSSD_{stage}.prototxt").read_text()
    rendered = render_in_memory("mobilenet-ssd-voc").texts[f"{stage}.prototxt"]
    assert check_equal(rendered, published) == MOBILENET[stage]


@pytest.mark.parametrize("stage", list(SSD300))
def test_every_layer_of_ssd300_is_the_generated_one(stage: str) -> None:
    generated = published_file("ssd300_generated", f"{stage}.prototxt").read_text()
    rendered = render_in_memory("ssd300-voc").texts[f"{stage}.prototxt"]
    assert check_equal(rendered, without_result_files(generated)) == SSD300[stage]


def test_ssd300_that_writes_result_files_is_the_generated_one_as_a_whole() -> None:
    generated = published_file("ssd300_generated", "test.prototxt").read_text()
    assert "save_output_param" in generated
    rendered = render_in_memory("ssd300-voc", assignments={"data.results_dir": "results"})
    assert check_equal(rendered.texts["test.prototxt"], generated) == SSD300["test"]


def without_result_files(text: str) -> str:
    net = parse(text, NetParameter(), source="generated")
    for layer in (each for each in net.layer if each.type == "DetectionOutput"):
        layer.detection_output_param.ClearField("save_output_param")
    return str(text_format.MessageToString(net))


# What is decided otherwise: the sum of four batches of 8 stands for one batch on each of four GPUs.
SOLVERS: dict[str, tuple[str, str, set[str]]] = {
    "mobilenet-ssd-voc": ("MobileNet-SSD", "voc/solver.prototxt", set()),
    "ssd300-voc": ("ssd300_generated", "solver.prototxt", {"iter_size"}),
}
PLACES = {"train_net", "test_net", "snapshot_prefix", "solver_mode", "device_id"}
# The published MobileNet-SSD tests 8 x 673 = 5384 images of 4952.
COUNTS = {"test_iter"}


@pytest.mark.parametrize("name", list(SOLVERS))
def test_solvers_have_the_published_numbers(name: str) -> None:
    repository, path, others = SOLVERS[name]
    theirs = parse(published_file(repository, path).read_text(), SolverParameter(), source="published")
    text = render_in_memory(name).texts["solver_train.prototxt"]
    ours = parse(text, SolverParameter(), source="rendered")
    compared = {field.name for field, _ in theirs.ListFields()} - PLACES - COUNTS - others
    assert len(compared) >= 15
    for field in sorted(compared):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert list(ours.test_iter) == [619]

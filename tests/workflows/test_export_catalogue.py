"""Every net of the catalogue as ONNX, run by onnxruntime and by the embedded engine on the same images.

Most run on small inputs, which leave all layers in place; `python -m benchmarks.onnx_table` runs all at full size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.onnx_table import catalogue, random_weights
from caffeflow.export.onnx_export import export_onnx
from caffeflow.workflows.export_check import compare_onnx
from caffeflow.workflows.open_net import Ask, open_net

TOLERANCE = 1e-4  # of the largest value


@dataclass(frozen=True)
class Case:
    """A net of the catalogue, and settings that make it small."""

    net: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.net, *(f"{name}={value}" for name, value in self.settings.items())])

    @property
    def ask(self) -> Ask:
        """The deploy net with two images at once."""
        assignments = {f"net.{name}": value for name, value in self.settings.items()}
        return Ask(net=self.net, assignments=assignments, batch_size=2)


def size(side: int | str, **settings: str) -> dict[str, str]:
    return {"input_size": str(side), **settings}


CLASSIFIERS = [
    Case("lenet"),
    Case("cifar10-quick"),
    Case("caffenet", size(67)),
    Case("vgg16", size(32)),
    Case("mobilenet-v1", size(96, width="0.25", activation="relu6")),
    Case("mobilenet-v1", size(64, width="0.25", activation="clip")),
    Case("mobilenet-v2:shicai", size(64)),
    Case("mobilenet-v2:paper", size(96, width="0.5")),
    Case("resnet50:he", size(64, width="0.5")),
    Case("resnet50:torchvision", size(64, pool="floor")),
    Case("resnet50:torchvision", size(96, pool="slice")),
    Case("regnetx-400mf", size(64)),
    Case("regnetx-800mf", size(64)),
    Case("regnetx-1.6gf", size(64)),
    Case("regnetx-3.2gf", size(64)),
]
DETECTORS = [
    Case("ssdlite-voc", {"input_size": "256", "width": "0.35"}),
    # Without BatchNorm in the backbone: with it, rounding alone grows to 1e-4 of the largest score.
    Case("ssdlite-voc", {"input_size": "256", "conf_loss": "softmax", "width": "0.5"}),
    Case("ssdlite-coco", {"input_size": "256", "width": "0.35"}),
    Case("mobilenet-ssd-voc", {"width": "0.5"}),
    Case("ssd-small"),
]


def test_every_net_and_variant_of_the_catalogue_is_here() -> None:
    assert {case.net for case in CLASSIFIERS} == set(catalogue("classification"))
    # ssd300 is as large as VGG16 at 300 pixels: slow, below.
    assert {case.net for case in DETECTORS} | {"ssd300-voc"} == set(catalogue("detection"))
    assert (len(CLASSIFIERS), len({case.net for case in CLASSIFIERS}), len(DETECTORS)) == (15, 13, 5)


@pytest.mark.parametrize("case", [*CLASSIFIERS, *DETECTORS], ids=str)
def test_onnxruntime_and_the_engine_agree(case: Case, tmp_path: Path) -> None:
    compare(case, tmp_path, dynamic_batch=False)


@pytest.mark.slow
def test_onnxruntime_and_the_engine_agree_on_ssd300(tmp_path: Path) -> None:
    compare(Case("ssd300-voc", {"classes": "3"}), tmp_path, dynamic_batch=False)


@pytest.mark.parametrize("case", [CLASSIFIERS[0], CLASSIFIERS[6], DETECTORS[-1]], ids=str)
def test_they_agree_with_the_batch_size_open(case: Case, tmp_path: Path) -> None:
    compare(case, tmp_path, dynamic_batch=True)


def compare(case: Case, folder: Path, *, dynamic_batch: bool) -> None:
    layers = random_weights(case.ask)
    opened = open_net(case.ask)
    made = export_onnx(opened.net, layers, dynamic_batch=dynamic_batch)
    found = compare_onnx(opened, layers, made, folder=folder)
    assert {each.blob for each in found} >= set(made.blobs.values())
    assert len(found) == len(made.blobs) + 1, "the scores behind the probabilities are compared as well"
    for each in found:
        assert each.largest > 0.01, "weights that were not calibrated compare as equal by chance"
        assert each.relative < TOLERANCE, each

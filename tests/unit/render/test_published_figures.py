"""Sizes and costs of the nets against published figures, within 2 %."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.render.check import check
from caffeflow.render.render import render_in_memory

# net, variant, variables, multiply-accumulates in G, parameters in M (None: not published, or not to 2 %).
FIGURES = [
    ("mobilenet-v1", None, {}, 0.569, 4.2),
    ("mobilenet-v1", None, {"width": "0.75"}, 0.325, 2.6),
    ("mobilenet-v1", None, {"width": "0.5"}, 0.149, None),
    ("mobilenet-v1", None, {"width": "0.25"}, 0.041, None),
    ("mobilenet-v2", "paper", {}, 0.300, 3.5),
    ("mobilenet-v2", "paper", {"width": "1.4"}, 0.585, None),
    ("mobilenet-v2", "shicai", {}, 0.429, 3.5),
    ("resnet50", "he", {}, 3.86, 25.6),
    ("resnet50", "torchvision", {}, 4.09, 25.6),
    ("resnet50", "torchvision", {"pool": "floor"}, 4.09, 25.6),
    ("resnet50", "torchvision", {"width": "0.5"}, 1.05, None),
    # With CIFAR's stem, as ports of it count it.
    ("resnet50", "torchvision", {"input_size": "32", "classes": "10"}, 1.30, 23.5),
    ("regnetx-400mf", None, {}, 0.4, 5.2),
    ("regnetx-800mf", None, {}, 0.8, 7.3),
    ("regnetx-1.6gf", None, {}, 1.6, 9.2),
    ("regnetx-3.2gf", None, {}, 3.2, 15.3),
    ("vgg16", None, {}, 15.5, 138),
    ("caffenet", None, {}, 0.72, 61),
]


@pytest.mark.parametrize(("net", "variant", "variables", "macs", "params"), FIGURES)
def test_costs_are_as_published(
    net: str, variant: str | None, variables: dict[str, str], macs: float, params: float | None
) -> None:
    rendered = render_in_memory(net, variant=variant, assignments=variables)
    figures = check(rendered.texts, out_dir=Path("models"), record_shape=(3, 256, 256))
    assert figures.macs / 1e9 == pytest.approx(macs, rel=0.02)
    if params is not None:
        assert figures.params / 1e6 == pytest.approx(params, rel=0.02)


def test_all_published_figures_are_held() -> None:
    assert len(FIGURES) == 18


def test_caffe_s_rounding_costs_a_row_and_a_tenth_more() -> None:
    rendered = render_in_memory("resnet50", variant="torchvision", assignments={"pool": "caffe"})
    figures = check(rendered.texts, out_dir=Path("models"), record_shape=(3, 256, 256))
    assert figures.macs / 1e9 > 4.5

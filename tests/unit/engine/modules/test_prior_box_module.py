"""PriorBox beyond the battery: made once, of use everywhere; and the published SSD's numbers of boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import LayerModule
from tests.support.engine_nets import layer, net_of


def prior_box(settings: str = "min_size: 5 max_size: 9", features: tuple[int, int] = (3, 2)) -> LayerModule:
    shapes = "".join(f"shape {{ dim: 2 dim: 3 dim: {h} dim: {w} }} " for h, w in (features, (30, 20)))
    text = layer("in", "Input", "", "f data", f"input_param {{ {shapes} }}")
    return (
        net_of(text + layer("p", "PriorBox", "f data", "p", f"prior_box_param {{ {settings} }}"))
        .layers[-1]
        .module
    )


def test_the_same_sizes_give_the_same_memory_and_others_do_not():
    module = prior_box()
    feature, image = torch.zeros(2, 3, 3, 2), torch.zeros(2, 3, 30, 20)
    first = module(feature, image)
    assert module(torch.ones(7, 5, 3, 2), image) is first
    assert module(feature, torch.zeros(1, 3, 15, 20)) is not first
    assert module(feature, image) is not first
    torch.testing.assert_close(module(feature, image), first)
    assert module(torch.zeros(2, 3, 2, 2), image).shape == (1, 2, 2 * 2 * 2 * 4)


def test_boxes_made_while_testing_can_be_trained_on():
    module = prior_box()
    feature, image = torch.zeros(2, 3, 3, 2), torch.zeros(2, 3, 30, 20)
    with torch.inference_mode():
        module(feature, image)
    x = torch.ones(1, 2, 3 * 2 * 2 * 4, requires_grad=True)
    (module(feature, image) * x).sum().backward()
    assert x.grad is not None
    assert x.grad.any()


def test_boxes_are_never_in_half_precision():
    module = prior_box()
    made = module(
        torch.zeros(2, 3, 3, 2, dtype=torch.bfloat16), torch.zeros(2, 3, 30, 20, dtype=torch.bfloat16)
    )
    assert made.dtype == torch.float32


def test_no_gradient_goes_back():
    feature = torch.zeros(2, 3, 3, 2, requires_grad=True)
    assert not prior_box()(feature, torch.zeros(2, 3, 30, 20)).requires_grad


@pytest.mark.parametrize(
    ("settings", "places", "boxes"),
    [
        ("min_size: 30 max_size: 60 aspect_ratio: 2", (38, 38), 4),
        ("min_size: 60 max_size: 111 aspect_ratio: [2, 3]", (19, 19), 6),
        ("min_size: 60 aspect_ratio: 2", (19, 19), 3),
    ],
)
def test_the_boxes_of_the_published_nets(settings, places, boxes):
    module = prior_box(settings, places)
    made = module(torch.zeros(1, 3, *places), torch.zeros(1, 3, 300, 300))
    assert made.shape == (1, 2, places[0] * places[1] * boxes * 4)
    side = int(settings.split()[1]) / 300
    first = made[0, 0, :4].double().numpy()
    np.testing.assert_allclose(first[2:] - first[:2], side, rtol=1e-6)
    np.testing.assert_allclose((first[2:] + first[:2]) / 2, 0.5 / np.array(places), rtol=1e-6)

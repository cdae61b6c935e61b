"""The layers around an SSD's loss, one at a time, in the embedded engine and in OpenCV on the same values.

OpenCV gives DetectionOutput's rows in an order of its own and fills up to keep_top_k with zeros, so rows are
put into Caffe's order before they are compared; scores are distinct. It cannot be asked for eta, which it
does not read, for CORNER_SIZE, variance_encoded_in_target, or without keep_top_k; nor for a Normalize other
than SSD's own, with a factor for each channel and lengths by place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffeflow.engine.training import FusedExecutor
from caffeflow.evaluate.opencv_check import find_obstacle, run_opencv
from caffeflow.proto.binary import write_caffemodel
from tests.support.engine_nets import layer, net_of

Array = np.ndarray

PRIORS, CLASSES = 47, 5
RNG = np.random.default_rng(2)
# OpenCV wants these written, although Caffe has defaults for them.
WRITTEN = {"share_location": "true", "background_label_id": "0", "code_type": "CENTER_SIZE"}


def both(text: str, inputs: dict[str, Array], folder: Path) -> tuple[Array, Array]:
    """Returns the top of the last layer, ours and OpenCV's."""
    net = net_of(text, phase="TEST")
    assert find_obstacle(net.shapes) is None
    write_caffemodel(folder / "net.caffemodel", name="net", layers=net.arrays())
    (folder / "net.prototxt").write_text(text)
    feeds = {name: (torch.from_numpy(value),) for name, value in inputs.items()}
    last = net.layers[-1]
    ours = FusedExecutor(net).forward(feeds).outputs[last.facts.node.tops[0].blob].numpy()
    theirs = run_opencv(folder / "net.prototxt", folder / "net.caffemodel", inputs=inputs, layer=last.name)
    return ours, theirs


def inputs_of(values: dict[str, Array]) -> str:
    return "".join(
        layer(
            name,
            "Input",
            "",
            name,
            "input_param { shape { " + " ".join(f"dim: {d}" for d in value.shape) + " } }",
        )
        for name, value in values.items()
    )


def heads(images: int, per_prior: int) -> dict[str, Array]:
    centres, halves = RNG.uniform(0.2, 0.8, (PRIORS, 2)), RNG.uniform(0.1, 0.3, (PRIORS, 2))
    corners = np.concatenate((centres - halves, centres + halves), 1).ravel()
    count = images * PRIORS * CLASSES
    values = {
        "loc": RNG.normal(0, 0.5, (images, PRIORS * per_prior * 4)),
        "conf": (RNG.permutation(count).reshape(images, -1) + 0.5) / count,
        "priors": np.stack((corners, np.tile([0.1, 0.1, 0.2, 0.2], PRIORS)))[None],
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def in_caffes_order(rows: Array) -> Array:
    return rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]


HALF = "confidence_threshold: 0.5 nms_param { nms_threshold: 0.45 top_k: 100 } keep_top_k: 100"


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("settings", "written", "fewest"),
    [
        (HALF, {}, 40),
        (HALF, {"code_type": "CORNER"}, 40),
        (HALF, {"share_location": "false"}, 40),
        (HALF, {"background_label_id": "2"}, 40),
        ("confidence_threshold: 0.5 nms_param { nms_threshold: 0.45 top_k: 5 } keep_top_k: 7", {}, 7),
        ("confidence_threshold: 0.5 nms_param { nms_threshold: 0.45 top_k: 5 } keep_top_k: 100", {}, 9),
        ("confidence_threshold: 0.99 nms_param { nms_threshold: 0.2 top_k: 100 } keep_top_k: 100", {}, 1),
        ("nms_param { nms_threshold: 0.3 top_k: 400 } keep_top_k: 10", {}, 10),
    ],
)
def test_detection_output(settings, written, fewest, images, tmp_path):
    fields = " ".join(f"{name}: {value}" for name, value in {**WRITTEN, **written}.items())
    values = heads(images, CLASSES if "share_location" in written else 1)
    text = inputs_of(values) + layer(
        "out", "DetectionOutput", "loc conf priors", "out",
        f"detection_output_param {{ num_classes: {CLASSES} {fields} {settings} }}",
    )  # fmt: skip
    ours, theirs = (rows[0, 0] for rows in both(text, values, tmp_path))
    theirs = theirs[theirs[:, 2] > 0]
    assert len(ours) >= fewest * (images if fewest > 1 else 1)
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, in_caffes_order(ours))
    np.testing.assert_allclose(ours, in_caffes_order(theirs), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        "min_size: 7 clip: false variance: 0.1",
        "min_size: 7 max_size: 13 aspect_ratio: [2, 3] clip: false variance: [0.1, 0.1, 0.2, 0.2]",
        "min_size: 7 aspect_ratio: [2, 3] flip: false clip: false variance: 0.3",
        "min_size: [5, 11] max_size: [9, 17] aspect_ratio: 2 clip: false variance: 0.1",
        "min_size: 31 aspect_ratio: 3 clip: true variance: 0.1",
        "min_size: 7 step: 8.5 offset: 0.25 clip: false variance: 0.1",
        "min_size: 7 step_h: 5 step_w: 11 clip: false variance: 0.1",
    ],
)
def test_prior_box(settings, tmp_path):
    """OpenCV clips unless told not to, knows no default variance, and does not cut sizes to whole numbers."""
    values = {"data": np.zeros((1, 3, 37, 53), np.float32), "map": np.zeros((1, 2, 5, 3), np.float32)}
    text = inputs_of(values) + layer(
        "out", "PriorBox", "map data", "out", f"prior_box_param {{ {settings} }}"
    )
    ours, theirs = both(text, values, tmp_path)
    assert ours.shape == theirs.shape[:3]
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=0, atol=1e-6)


FACTORS = 'scale_filler { type: "uniform" min: 0.5 max: 20 }'


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Normalize", f"norm_param {{ across_spatial: false channel_shared: false {FACTORS} }}"),
        ("Permute", "permute_param { order: [0, 2, 3, 1] }"),
        ("Permute", "permute_param { order: [0, 3, 1, 2] }"),
        ("ReLU6", ""),
    ],
)
def test_one_bottom(kind, settings, tmp_path):
    values = {"data": (RNG.normal(size=(2, 3, 5, 7)) * 4).astype(np.float32)}
    ours, theirs = both(inputs_of(values) + layer("out", kind, "data", "out", settings), values, tmp_path)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())

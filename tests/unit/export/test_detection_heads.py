"""A detector without its DetectionOutput: loc and conf from onnxruntime, priors and settings from beside."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from caffeflow.errors import NetError, UnsupportedLayerError
from tests.support.engine_nets import convolution, layer
from tests.support.onnx_nets import assert_same, export, images, run_both
from tests.support.oracles.detection_layers import prior_box
from tests.support.oracles.detection_output import detections

CLASSES, PER_PLACE = 3, 2
IMAGE, FIRST, SECOND = (23, 19), (11, 9), (5, 4)


def head(name: str, bottom: str, outputs: int) -> str:
    order = "permute_param { order: [0, 2, 3, 1] }"
    return (
        convolution(name, bottom, name, outputs, 3, "pad: 1")
        + layer(f"{name}_perm", "Permute", name, f"{name}_perm", order)
        + layer(f"{name}_flat", "Flatten", f"{name}_perm", f"{name}_flat")
    )


def feature(index: int, bottom: str) -> str:
    map_ = f"map{index}"
    sizes = f"min_size: {7 + 4 * index} max_size: {13 + 4 * index} flip: false"
    prior = f"prior_box_param {{ {sizes} clip: true variance: [0.1, 0.1, 0.2, 0.2] }}"
    return (
        convolution(map_, bottom, map_, 5, 3, "stride: 2")
        + layer(f"{map_}/tanh", "TanH", map_, map_)
        + head(f"loc{index}", map_, PER_PLACE * 4)
        + head(f"conf{index}", map_, PER_PLACE * CLASSES)
        + layer(f"priors{index}", "PriorBox", f"{map_} data", f"priors{index}", prior)
    )


OUTPUT = (
    "detection_output_param { num_classes: 3 code_type: CENTER_SIZE keep_top_k: 7 confidence_threshold: 0.25"
    " nms_param { nms_threshold: 0.4 top_k: 11 } }"
)
BACKBONE = (
    images(2, 3, *IMAGE)
    + feature(1, "data")
    + feature(2, "map1")
    + layer("loc", "Concat", "loc1_flat loc2_flat", "loc")
    + layer("conf", "Concat", "conf1_flat conf2_flat", "conf")
    + layer("priors", "Concat", "priors1 priors2", "priors", "concat_param { axis: 2 }")
    + layer(
        "rows", "Reshape", "conf", "rows", f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}"
    )
    + layer("shares", "Softmax", "rows", "shares", "softmax_param { axis: 2 }")
    + layer("scores", "Flatten", "shares", "scores")
)
CUT = layer("found", "DetectionOutput", "loc scores priors", "found", OUTPUT)
DETECTOR = BACKBONE + CUT


def test_loc_and_scores_are_the_outputs_and_no_prior_is_in_the_graph() -> None:
    made = export(DETECTOR)
    places = FIRST[0] * FIRST[1] + SECOND[0] * SECOND[1]
    assert made.outputs == {
        "loc": (2, places * PER_PLACE * 4),
        "scores": (2, places * PER_PLACE * CLASSES),
    }
    assert made.head_outputs() == ["loc", "scores"]
    assert "Constant" not in made.operators()
    assert_same(DETECTOR)
    assert_same(DETECTOR, dynamic_batch=True)


def test_the_priors_are_those_of_the_maps_one_behind_the_other() -> None:
    made = export(DETECTOR)
    assert made.head is not None
    with np.load(BytesIO(made.head.priors_file())) as file:
        priors, variances = file["priors"], file["variances"]
    four = (0.1, 0.1, 0.2, 0.2)
    parts = [
        prior_box(size, IMAGE, min_size=[low], max_size=[high], clip=True, variance=four)
        for size, low, high in ((FIRST, 11, 17), (SECOND, 15, 21))
    ]
    wanted = np.concatenate(parts, axis=2).reshape(2, -1, 4)
    assert priors.dtype == variances.dtype == np.float32
    np.testing.assert_allclose(priors, wanted[0], rtol=0, atol=1e-7)
    np.testing.assert_allclose(variances, wanted[1], rtol=0, atol=1e-8)


def test_the_settings_are_those_of_the_layer() -> None:
    made = export(DETECTOR)
    assert made.head is not None
    assert made.head.settings() == {
        "layer": "found",
        "priors": (FIRST[0] * FIRST[1] + SECOND[0] * SECOND[1]) * PER_PLACE,
        "num_classes": 3,
        "share_location": True,
        "background_label_id": 0,
        "code_type": "CENTER_SIZE",
        "variance_encoded_in_target": False,
        "confidence_threshold": 0.25,
        "nms_threshold": pytest.approx(0.4),
        "top_k": 11,
        "eta": 1.0,
        "keep_top_k": 7,
    }


def test_decoded_with_what_lies_beside_they_are_the_nets_detections() -> None:
    made = export(DETECTOR)
    assert made.head is not None
    both = run_both(DETECTOR, keep=["loc"])
    settings = made.head.settings()
    found = detections(
        both["loc"][1].astype(float),
        both["scores"][1].astype(float),
        made.head.priors.astype(float),
        classes=settings["num_classes"],
        code=settings["code_type"],
        threshold=settings["confidence_threshold"],
        nms=settings["nms_threshold"],
        top_k=settings["top_k"],
        keep=settings["keep_top_k"],
    )
    ours = detections_of_the_engine()
    assert len(ours[0, 0]) > 5
    np.testing.assert_allclose(found, ours, rtol=1e-5, atol=1e-5)


def detections_of_the_engine() -> np.ndarray:
    import torch

    from caffeflow.engine.training import FusedExecutor
    from tests.support.engine_nets import net_of
    from tests.support.onnx_nets import weights_of

    net = net_of(DETECTOR, phase="TEST")
    net.load(weights_of(DETECTOR))
    rng = np.random.default_rng(11)
    value = torch.from_numpy(rng.normal(size=(2, 3, *IMAGE)).astype(np.float32))
    return FusedExecutor(net).forward({"data": (value,)}).outputs["found"].numpy()


def test_priors_that_leave_the_net_themselves_are_a_constant() -> None:
    made = export(BACKBONE)
    assert sorted(made.outputs) == ["loc", "priors", "scores"]
    assert made.operators()["Constant"] == 2
    assert_same(BACKBONE)


def test_a_detection_output_that_another_layer_reads_is_refused() -> None:
    text = DETECTOR + layer("abs", "AbsVal", "found", "abs")
    with pytest.raises(UnsupportedLayerError, match=r"layer 'found': .*cut off at the end of a net"):
        export(text)


def test_a_second_head_is_refused() -> None:
    with pytest.raises(NetError, match="layer 'found': a second DetectionOutput"):
        export(DETECTOR + CUT.replace('"found"', '"again"'))


def test_priors_from_elsewhere_are_refused() -> None:
    given = BACKBONE.replace('bottom: "priors2" top: "priors"', 'bottom: "map1_flat" top: "priors"')
    assert given != BACKBONE
    size = FIRST[0] * FIRST[1] * PER_PLACE * 4 + SECOND[0] * SECOND[1] * PER_PLACE * 4
    text = images(2, 3, *IMAGE) + images(1, 2, size, name="given") + DETECTOR[len(images(2, 3, *IMAGE)) :]
    text = text.replace('bottom: "scores" bottom: "priors"', 'bottom: "scores" bottom: "given"')
    with pytest.raises(UnsupportedLayerError, match="layer 'given': type Input makes the priors"):
        export(text)

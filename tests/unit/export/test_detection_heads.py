"""A detector without its DetectionOutput: loc and conf from onnxruntime, priors and settings from beside."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch

from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import NetError, UnsupportedLayerError
from tests.support.engine_nets import layer, net_of
from tests.support.onnx_nets import assert_same, export, images, run_both, weights_of
from tests.support.oracles.detection_layers import prior_box
from tests.support.oracles.detection_output import detections
from tests.support.small_detector import (
    BACKBONE,
    CLASSES,
    CUT,
    DETECTOR,
    FIRST,
    IMAGE,
    INPUT,
    PER_PLACE,
    PLACES,
    SECOND,
)


def test_loc_and_scores_are_the_outputs_and_no_prior_is_in_the_graph() -> None:
    made = export(DETECTOR)
    assert made.outputs == {
        "loc": (2, PLACES * PER_PLACE * 4),
        "scores": (2, PLACES * PER_PLACE * CLASSES),
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
        "priors": PLACES * PER_PLACE,
        "num_classes": 3,
        "share_location": True,
        "background_label_id": 0,
        "code_type": "CENTER_SIZE",
        "variance_encoded_in_target": False,
        "confidence_threshold": 0.25,
        "nms_threshold": 0.4,
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
    text = INPUT + images(1, 2, PLACES * PER_PLACE * 4, name="given") + DETECTOR.removeprefix(INPUT)
    text = text.replace('bottom: "scores" bottom: "priors"', 'bottom: "scores" bottom: "given"')
    with pytest.raises(UnsupportedLayerError, match="layer 'given': type Input makes the priors"):
        export(text)

"""DetectionOutput beyond the battery: larger batches, what it says, what it never gives."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import LayerModule
from caffeflow.errors import DataError
from tests.support.engine_nets import layer, net_of
from tests.support.oracles.detection_output import detections

PRIORS, CLASSES, IMAGES = 53, 7, 5


def output_layer(settings: str = "", *, phase: str = "TEST", per_prior: int = 1) -> LayerModule:
    shapes = f"shape {{ dim: {IMAGES} dim: {PRIORS * per_prior * 4} }} shape {{ dim: {IMAGES} dim: {PRIORS * CLASSES} }}"
    text = layer(
        "in", "Input", "", "l c p", f"input_param {{ {shapes} shape {{ dim: 1 dim: 2 dim: {PRIORS * 4} }} }}"
    )
    param = f"detection_output_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE {settings} }}"
    return net_of(text + layer("out", "DetectionOutput", "l c p", "d", param), phase=phase).layers[-1].module


def bottoms(seed: int = 0, *, images: int = IMAGES) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    centres, halves = rng.uniform(0.3, 0.7, (PRIORS, 2)), rng.uniform(0.1, 0.3, (PRIORS, 2))
    corners = np.concatenate((centres - halves, centres + halves), 1).ravel()
    scores = rng.permutation(images * PRIORS * CLASSES).reshape(images, -1) / (images * PRIORS * CLASSES)
    values = (
        rng.normal(size=(images, PRIORS * 4)),
        scores,
        np.stack((corners, np.full(PRIORS * 4, 0.1)))[None],
    )
    return [torch.from_numpy(value.astype(np.float32)) for value in values]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("images", [1, 5])
def test_a_usual_setting_on_larger_batches(seed, images):
    settings = "confidence_threshold: 0.25 keep_top_k: 40 nms_param { nms_threshold: 0.45 top_k: 20 }"
    values = bottoms(seed, images=images)
    found = output_layer(settings)(*values).numpy()
    expected = detections(
        *(value.double().numpy() for value in values),
        classes=CLASSES, code="CENTER_SIZE", threshold=0.25, nms=0.45, top_k=20, keep=40,
    )  # fmt: skip
    assert expected.shape[2] > 30 * images
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_batch_gives_what_its_images_give():
    module = output_layer("confidence_threshold: 0.25 keep_top_k: 40")
    loc, conf, priors = bottoms()
    whole = module(loc, conf, priors)[0, 0]
    for image in range(IMAGES):
        alone = module(loc[image : image + 1], conf[image : image + 1], priors)[0, 0]
        mine = whole[whole[:, 0] == image]
        torch.testing.assert_close(mine[:, 1:], alone[:, 1:], rtol=0, atol=0)


def test_rows_are_sorted_by_image_label_and_falling_score():
    rows = output_layer("keep_top_k: 40")(*bottoms())[0, 0].tolist()
    keys = [(row[0], row[1], -row[2]) for row in rows]
    assert keys == sorted(keys)
    assert {row[1] for row in rows} <= set(range(1, CLASSES))
    assert min(row[3] for row in rows) < 0 < 1 < max(row[6] for row in rows), "boxes are not cut"


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_no_gradient_goes_back(phase):
    values = [value.requires_grad_() for value in bottoms()]
    assert not output_layer(phase=phase)(*values).requires_grad


def test_scores_without_numbers_are_no_detections():
    loc, conf, priors = bottoms()
    conf[1] = float("nan")
    rows = output_layer("confidence_threshold: 0.1")(loc, conf, priors)[0, 0]
    assert set(rows[:, 0].tolist()) == {0, 2, 3, 4}


def test_half_precision_is_widened_first():
    values = bottoms()
    module = output_layer("confidence_threshold: 0.5")
    halves = [values[0].bfloat16(), values[1].bfloat16(), values[2]]
    found = module(*halves)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, module(*(half.float() for half in halves)), rtol=0, atol=0)


def test_the_images_as_fourth_bottom_are_not_looked_at():
    values = bottoms()
    module = output_layer("confidence_threshold: 0.5")
    torch.testing.assert_close(module(*values, torch.zeros(IMAGES, 3, 2, 2)), module(*values))


def test_pictures_that_nobody_draws_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        output_layer('visualize: true save_file: "out.mp4"')
    assert "layer 'out': visualize has no effect" in caplog.text
    assert "layer 'out': save_file has no effect" in caplog.text
    caplog.clear()
    output_layer('save_file: "out.mp4" visualize_threshold: 0.3')  # nothing in Caffe either
    assert not caplog.records


def test_files_that_save_output_param_needs_are_asked_for_when_the_net_is_built():
    files = (
        'output_directory: "out" output_format: "VOC" label_map_file: "no.prototxt" name_size_file: "no.txt"'
    )
    with pytest.raises(DataError, match=r"layer 'out': no\.prototxt: .*remove save_output_param"):
        output_layer(f"save_output_param {{ {files} }}")

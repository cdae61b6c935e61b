"""What passes from one forward of a recurrent layer to the next, and what is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from caffeflow.errors import NetError
from tests.support.engine_nets import layer, net_of
from tests.support.layer_battery import Case, as_tuple, assert_arrays_equal
from tests.support.oracles.recurrent import lstm, rnn

STREAMS, SIZE, VALUES, HIDDEN = 3, 2, 7, 5
GOING_ON = np.array([[1, 0, 1], [1, 1, 1]], np.float32)


def case_of(layer_type, *, settings=""):
    return Case(
        id=f"{layer_type}-carried",
        prototxt=f'type: "{layer_type}" recurrent_param {{ num_output: {HIDDEN} {settings} }}',
        bottoms=[(SIZE, STREAMS, VALUES), GOING_ON],
        oracle=lambda *_: (),
    )


@pytest.mark.parametrize(("layer_type", "oracle"), [("RNN", rnn), ("LSTM", lstm)])
def test_the_state_goes_on_from_forward_to_forward(layer_type, oracle):
    case = case_of(layer_type)
    module, blobs = case.module(), case.blob_values()
    rng = np.random.default_rng(5)
    state = {}
    for number in range(3):
        x = rng.standard_normal((SIZE, STREAMS, VALUES)).astype(np.float32)
        with torch.inference_mode(number == 1):  # a test's state does not spoil a training's forward
            (found,) = as_tuple(module(torch.from_numpy(x), torch.from_numpy(GOING_ON)))
        expected, *after = oracle(x, GOING_ON, *blobs, **state)
        state = dict(zip("hc", after, strict=False))
        assert_arrays_equal([found.detach()], expected, tolerance=4e-6)


@pytest.mark.parametrize("layer_type", ["RNN", "LSTM"])
def test_no_gradient_crosses_forwards(layer_type):
    module = case_of(layer_type).module()
    first, second = (torch.randn(SIZE, STREAMS, VALUES, requires_grad=True) for _ in range(2))
    module(first, torch.from_numpy(GOING_ON))
    (out,) = as_tuple(module(second, torch.from_numpy(GOING_ON)))
    out.sum().backward()
    assert first.grad is None
    assert second.grad is not None


def test_other_streams_begin_anew():
    case = case_of("LSTM")
    module = case.module()
    module(torch.randn(SIZE, STREAMS, VALUES), torch.ones(SIZE, STREAMS))
    x = np.random.default_rng(7).standard_normal((SIZE, 2, VALUES)).astype(np.float32)
    (found,) = as_tuple(module(torch.from_numpy(x), torch.ones(SIZE, 2)))
    expected = lstm(x, np.ones((SIZE, 2)), *case.blob_values())[0]
    assert_arrays_equal([found.detach()], expected, tolerance=4e-6)


@pytest.mark.parametrize(("layer_type", "oracle"), [("RNN", rnn), ("LSTM", lstm)])
def test_the_state_is_kept_whatever_becomes_of_the_top(layer_type, oracle):
    case = case_of(layer_type)
    module, x = case.module(), torch.randn(SIZE, STREAMS, VALUES)
    with torch.no_grad():
        (top,) = as_tuple(module(x, torch.ones(SIZE, STREAMS)))
        top.zero_()  # as a layer in place does
        (found,) = as_tuple(module(x, torch.ones(SIZE, STREAMS)))
    ones = np.ones((2 * SIZE, STREAMS))
    expected = oracle(np.concatenate([x.numpy()] * 2), ones, *case.blob_values())[0]
    assert_arrays_equal([found], expected[SIZE:], tolerance=4e-6)


@pytest.mark.parametrize(("layer_type", "oracle"), [("RNN", rnn), ("LSTM", lstm)])
def test_steps_stay_in_single_precision_under_autocast(layer_type, oracle):
    case = case_of(layer_type)
    module = case.module()
    x = np.random.default_rng(3).standard_normal((SIZE, STREAMS, VALUES)).astype(np.float32)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = as_tuple(module(torch.from_numpy(x), torch.from_numpy(GOING_ON)))
    found.sum().backward()
    expected = oracle(x, GOING_ON, *case.blob_values())[0]
    assert found.dtype == torch.float32
    assert_arrays_equal([found.detach()], expected, tolerance=2e-2)
    assert all(blob.grad is not None and blob.grad.dtype == torch.float32 for blob in module.parameters())


def test_the_state_is_in_no_snapshot():
    module = case_of("LSTM").module()
    assert list(module.state_dict()) == ["W_xc", "b_c", "W_hc"]


def test_debug_info_says_that_it_shows_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        case_of("RNN", settings="debug_info: true").module()
    assert "debug_info" in caplog.text
    assert "'layer'" in caplog.text


@pytest.mark.parametrize(
    ("bottoms", "tops", "settings", "words"),
    [
        (["2 3 7", "2 3"], "o", "", ["num_output is 0"]),
        (["2 3 7", "2 3"], "o", "num_output: 5 expose_hidden: true", ["h_0, c_0", "3 top(s)", "2 bottom(s)"]),
        (["2 3 7", "2 3", "3 2", "1 3 5"], "o", "num_output: 5", ["1 top(s)", "found 4 bottom(s)"]),
        (["2 3", "2 3"], "o", "num_output: 5", ["at least 3 axes", "2 x 3"]),
        (["2 3 7", "3 2"], "o", "num_output: 5", ["cont must be 2 x 3", "3 x 2"]),
        (["2 3 7", "2 3", "2 7"], "o", "num_output: 5", ["static", "3 x …", "2 x 7"]),
        (
            ["2 3 7", "2 3", "1 3 5", "1 5 3"],
            "o h c",
            "num_output: 5 expose_hidden: true",
            ["1 x 3 x 5", "1 x 5 x 3"],
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_shapes(bottoms, tops, settings, words):
    inputs = "".join(
        layer(f"b{index}", "Input", "", f"b{index}", f"input_param {{ shape {{ {_dims(shape)} }} }}")
        for index, shape in enumerate(bottoms)
    )
    names = " ".join(f"b{index}" for index in range(len(bottoms)))
    with pytest.raises(NetError) as caught:
        net_of(inputs + layer("memory", "LSTM", names, tops, f"recurrent_param {{ {settings} }}"))
    for word in ["'memory'", *words]:
        assert word in str(caught.value)


def test_a_unit_wants_four_gates_a_value():
    shapes = ["1 3 5", "1 3 15", "1 3"]
    inputs = "".join(
        layer(f"b{index}", "Input", "", f"b{index}", f"input_param {{ shape {{ {_dims(shape)} }} }}")
        for index, shape in enumerate(shapes)
    )
    with pytest.raises(NetError, match=r"1 x 3 x 20.*1 x 3 x 15"):
        net_of(inputs + layer("unit", "LSTMUnit", "b0 b1 b2", "c h"))


def _dims(shape: str) -> str:
    return " ".join(f"dim: {dim}" for dim in shape.split())

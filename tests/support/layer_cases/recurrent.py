"""Battery cases of RNN, LSTM and LSTMUnit.

Where no state is given every stream begins anew at the first step: what an earlier forward left would
change the numeric gradients' next forward. That it is carried over has a test of its own.
"""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles.recurrent import lstm, lstm_unit, rnn

CONT = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]])
GOING_ON = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1]])
ONE_STREAM = np.array([[0], [1]])

LSTM_BLOBS = ("W_xc", "b_c", "W_hc")
RNN_BLOBS = ("W_xh", "b_h", "W_hh", "W_ho", "b_o")


def case(layer_type, name, x, cont, *, static=None, exposed=False):
    compute, names, states = (lstm, LSTM_BLOBS, "hc") if layer_type == "LSTM" else (rnn, RNN_BLOBS, "h")
    hidden = 5
    extra = [static] if static else []
    extra += [(1, cont.shape[1], hidden)] * (len(states) * exposed)

    def oracle(xs, blobs):
        given = list(blobs)
        others = {}
        if static:
            others = {"static": xs[2], "w_static": given.pop(2)}
        if exposed:
            others |= dict(zip(states, xs[-len(states) :], strict=True))
        return compute(xs[0], xs[1], *given, **others)[: 1 + len(states) * exposed]

    settings = f"num_output: {hidden} expose_hidden: {'true' if exposed else 'false'}"
    return Case(
        id=f"{layer_type.lower()}-{name}",
        prototxt=f'type: "{layer_type}" recurrent_param {{ {settings} }}',
        bottoms=[x, cont, *extra],
        oracle=oracle,
        tops=1 + len(states) * exposed,
        names=(*names[:2], f"{names[0]}_static", *names[2:]) if static else names,
        differentiable=(0, 2) if static else (0,),
        larger_batch=False,  # the first axis is time, which is fixed
        tolerance=4e-6,
    )


def both(name, x, cont, **arguments):
    return [case(layer_type, name, x, cont, **arguments) for layer_type in ("RNN", "LSTM")]


CASES = [
    *both("sequences", (5, 3, 7), CONT),
    *both("of-maps", (5, 3, 2, 3), CONT),
    *both("one-stream", (2, 1, 3), ONE_STREAM),
    *both("one-step", (1, 3, 7), np.zeros((1, 3))),
    *both("static", (5, 3, 7), CONT, static=(3, 2)),
    *both("static-maps", (5, 3, 7), CONT, static=(3, 2, 3)),
    *both("exposed", (3, 3, 7), GOING_ON, exposed=True),
    *both("exposed-static", (3, 3, 7), GOING_ON, static=(3, 2), exposed=True),
    Case(
        id="lstmunit-step",
        prototxt='type: "LSTMUnit"',
        bottoms=[(1, 3, 5), (1, 3, 20), np.array([[1, 0, 1]])],
        oracle=lambda xs, _: lstm_unit(*xs),
        tops=2,
        differentiable=(0, 1),
        larger_batch=False,  # the first axis is time, and one step
    ),
]

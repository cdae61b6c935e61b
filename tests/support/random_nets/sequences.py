"""Recurrent layers: over blobs whose first two axes are steps and streams."""

from __future__ import annotations

from typing import Final

from tests.support.random_nets.blobs import DrawnBlob
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import Sketch

_FILLERS: Final = 'weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -0.3 max: 0.3 }'
_STEPS: Final = 5


def _is_sequence(blob: DrawnBlob) -> bool:
    return blob.axes >= 3 and blob.shape[0] <= _STEPS and blob.shape[1] <= 7 and blob.size <= 3


def _whether_streams_go_on(sketch: Sketch, steps: int, streams: int) -> DrawnBlob:
    return sketch.add_input((steps, streams), sketch.random.integers(0, 2, (steps, streams)), varied=False)


def _recur(sketch: Sketch, kind: str, states: int) -> None:
    bottom = sketch.pick(_is_sequence)
    steps, streams = bottom.shape[:2]
    bottoms = [bottom, _whether_streams_go_on(sketch, steps, streams)]
    if sketch.chance(0.3):
        bottoms.append(
            sketch.pick(lambda blob: blob.axes >= 2 and blob.shape[0] == streams and blob.size <= 3)
        )
    outputs = int(sketch.choose(3, 5, 7))
    shown = not sketch.force and sketch.chance(0.2)
    if shown:
        shape = (1, streams, outputs)
        bottoms += [
            sketch.add_input(shape, 0.5 * sketch.random.standard_normal(shape)) for _ in range(states)
        ]
    fields = f"num_output: {outputs} {_FILLERS} {'expose_hidden: true' if shown else ''}"
    tops = 1 + states * shown
    made = sketch.add(
        kind, bottoms, f"recurrent_param {{ {fields} }}", tops=tops, size=1.0, varied=False, handed=True
    )
    for state in made[1:]:
        sketch.mark(state, flows=False)


@grows("RNN")
def rnn(sketch: Sketch) -> None:
    _recur(sketch, "RNN", 1)


@grows("LSTM")
def lstm(sketch: Sketch) -> None:
    _recur(sketch, "LSTM", 2)


@grows("LSTMUnit")
def lstm_unit(sketch: Sketch) -> None:
    """Adds the gates' inner product over a row of streams, and the unit."""
    bottom = sketch.pick(
        lambda blob: blob.axes == 3 and blob.shape[0] == 1 and blob.shape[1] <= 7 and blob.size <= 3
    )
    streams, cells = bottom.shape[1], int(sketch.choose(2, 3))
    gates = f"inner_product_param {{ axis: 2 num_output: {4 * cells} {_FILLERS} }}"
    (made,) = sketch.add("InnerProduct", [bottom], gates, size=bottom.size)
    shape = (1, streams, cells)
    before = sketch.add_input(shape, sketch.random.standard_normal(shape))
    going = _whether_streams_go_on(sketch, 1, streams)
    sketch.add("LSTMUnit", [before, made, going], tops=2, size=1.0, varied=False)

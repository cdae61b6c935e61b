"""Drawn recurrent layers: RNN, LSTM, LSTMUnit."""

from __future__ import annotations

from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import Bottom, Configuration, Family, weigh
from tests.support.drawn_layers.draw import Draw, bits


def _recurrent(states: int) -> Family:
    def family(draw: Draw) -> Configuration:
        layer = LayerParameter()
        param = layer.recurrent_param
        param.num_output = draw.integer(1, 5)
        # Small: of what is saturated the gradients are rounding.
        param.weight_filler.type, param.weight_filler.std = "gaussian", draw.number(0.1, 0.6)
        param.bias_filler.type, param.bias_filler.max = "uniform", draw.number(0.1, 0.6)
        steps, streams = draw.integer(1, 4), draw.integer(1, 3)
        bottoms = [
            Bottom(shape=(steps, streams, *draw.shape(1, 2))),
            Bottom(shape=(steps, streams), values=bits, gradient=False),
        ]
        if draw.chance(0.4):
            bottoms.append(Bottom(shape=(streams, *draw.shape(1, 2))))
        exposed = 0
        if draw.chance():
            param.expose_hidden = draw.chance(0.8)
            exposed = states * param.expose_hidden
        state = Bottom(shape=(1, streams, param.num_output), gradient=False)  # gets none, in Caffe either
        bottoms.extend([state] * exposed)
        if draw.chance(0.1):
            param.debug_info = True
        weigh(draw, layer, tops=1 + exposed)
        return Configuration(layer=layer, bottoms=tuple(bottoms), tops=1 + exposed)

    return family


def lstm_unit(draw: Draw) -> Configuration:
    """Draws an LSTMUnit, one step of some streams."""
    layer = LayerParameter()
    streams, hidden = draw.integer(1, 7), draw.integer(1, 7)
    weigh(draw, layer, tops=2)
    return Configuration(
        layer=layer,
        bottoms=(
            Bottom(shape=(1, streams, hidden)),
            Bottom(shape=(1, streams, 4 * hidden)),
            Bottom(shape=(1, streams), values=bits, gradient=False),
        ),
        tops=2,
    )


FAMILIES: Final[dict[str, Family]] = {"LSTM": _recurrent(2), "LSTMUnit": lstm_unit, "RNN": _recurrent(1)}

"""Drawn Python layers, of the class `Powers` in `pycaffe_scripts/layers_that_are_drawn.py`."""

from __future__ import annotations

import json
from typing import Any

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import Configuration, cut_some, one_bottom, weigh
from tests.support.drawn_layers.draw import Draw


def python(draw: Draw) -> Configuration:
    """Draws a Python layer of one bottom or more and one top or more."""
    layer = LayerParameter()
    tops = draw.integer(1, 3)
    settings: dict[str, Any] = {"factors": [draw.number(-2, 2) for _ in range(tops)]}
    if draw.chance():
        settings["learns"] = draw.chance(0.8)
    param = layer.python_param
    param.module, param.layer, param.param_str = "layers_that_are_drawn", "Powers", json.dumps(settings)
    if draw.chance(0.2):
        param.share_in_parallel = draw.chance()
    bottoms = one_bottom(draw.shape(1, 5)) * draw.integer(1, 3)
    weigh(draw, layer, tops=tops)
    cut_some(draw, layer, bottoms)
    in_place = tops == 1 and len(bottoms) == 1 and draw.chance(0.3)
    return Configuration(
        layer=layer, bottoms=bottoms, tops=tops, in_place=in_place, phase=draw.one_of("TRAIN", "TEST")
    )

"""The detection net that is timed: SSDLite as `render` gives it for VOC, with constants for images and boxes.

The one rule to know: MultiBoxLoss reads rows of eight numbers that differ, while a DummyData top holds one
number throughout; so the rows are put together from constant columns. Each image has one large box, which
some of the prior boxes match.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import format_message, parse
from caffeflow.workflows.render import Request, render_net

NAME: Final = "ssdlite-voc"
BATCH_SIZE: Final = 4
_RECORD: Final = (3, 300, 300)
_VALUES: Final = {"one": 1.0, "zero": 0.0, "near": 0.2, "far": 0.7}
_COLUMNS: Final = ("item", "one", "zero", "near", "near", "far", "far", "zero")
"""A row: item, class, instance, xmin, ymin, xmax, ymax, difficult."""


def render_detection_net() -> str:
    """Returns the training net as text."""
    request = Request(net=NAME, assignments={}, out_dir=Path("unused"), command="benchmark")
    rendered = render_net(request, is_dry_run=True).rendered.texts["train.prototxt"]
    train = filter_net(parse(rendered, NetParameter(), source=NAME), net_state("TRAIN"))
    made = NetParameter(name=train.name)
    for layer in train.layer:
        layer.ClearField("include")
        made.layer.extend(_constants(layer) if layer.type == "AnnotatedData" else [layer])
    return format_message(made)


def _constants(source: LayerParameter) -> list[LayerParameter]:
    """Returns layers that make the tops of a data layer: the images, and the label with a row an image."""
    images, label = source.top
    dummy = LayerParameter(name=source.name, type="DummyData", top=[images])
    dummy.dummy_data_param.shape.add(dim=(BATCH_SIZE, *_RECORD))
    dummy.dummy_data_param.data_filler.add(type="constant", value=1)
    items = [f"item{number}" for number in range(BATCH_SIZE)]
    for number, item in enumerate(items):
        _add_top(dummy, item, rows=1, value=number)
    for name, value in _VALUES.items():
        _add_top(dummy, name, rows=BATCH_SIZE, value=value)
    return [dummy, _concat("item", items, axis=2), _concat(label, _COLUMNS, axis=3)]


def _add_top(dummy: LayerParameter, name: str, *, rows: int, value: float) -> None:
    dummy.top.append(name)
    dummy.dummy_data_param.shape.add(dim=(1, 1, rows, 1))
    dummy.dummy_data_param.data_filler.add(type="constant", value=value)


def _concat(top: str, bottoms: list[str] | tuple[str, ...], *, axis: int) -> LayerParameter:
    layer = LayerParameter(name=top, type="Concat", bottom=bottoms, top=[top])
    layer.concat_param.axis = axis
    return layer

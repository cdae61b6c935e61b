"""What stands in the boxes of drawn nets: the real pycaffe's labels, edges, multipliers and colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from caffeflow.proto.text import read_net
from caffeflow.pycaffe import draw
from tests.support.native import NativeCaffe
from tests.support.native_pycaffe import ask_pycaffe

pytestmark = pytest.mark.native

_NETS: Final = ("lenet", "caffenet", "resnet50")
_GOLDEN: Final = Path(__file__).parent.parent / "golden" / "nets"
# It imports pydot, which is not installed there, and uses it for the picture only.
_STUB: Final = "import types; sys.modules['pydotplus'] = types.ModuleType('pydotplus'); import caffe.draw\n"
_LABELS: Final = """
def labels(draw, net):
    for layer in net.layer:
        mults = draw.get_layer_lr_mult(layer) if layer.type in ('Convolution', 'InnerProduct') else None
        yield [draw.get_layer_label(layer, 'LR'), draw.get_layer_label(layer, 'TB', True),
               draw.get_edge_label(layer), mults and list(mults), draw.choose_color_by_layertype(layer.type)]
"""


def test_labels_are_equal(caffe: NativeCaffe, tmp_path: Path) -> None:
    files = [_GOLDEN / f"{name}.train_val.prototxt" for name in _NETS]
    body = _STUB + _LABELS
    body += f"""
import json
from google.protobuf import text_format
found = []
for name in {[str(path) for path in files]!r}:
    with open(name) as file:
        net = text_format.Merge(file.read(), caffe.proto.caffe_pb2.NetParameter())
    found.append(list(labels(caffe.draw, net)))
out['json'] = np.frombuffer(json.dumps(found).encode(), np.uint8)
"""
    answers = json.loads(ask_pycaffe(caffe, body, tmp_path)["json"].tobytes())
    names: dict[str, Any] = {}
    exec(_LABELS, names)  # noqa: S102 - the text above
    mine = [list(names["labels"](draw, read_net(path).net)) for path in files]
    assert sum(map(len, mine)) > 80
    for name, own, answer in zip(_NETS, mine, answers, strict=True):
        assert own == answer, name

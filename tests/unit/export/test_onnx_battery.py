"""Every battery case that ONNX can say, in every opset family, through onnxruntime against the loop oracles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from caffeflow.errors import UnsupportedLayerError
from caffeflow.export import onnx_layers
from caffeflow.export.onnx_export import export_onnx
from caffeflow.export.onnx_layer import WRITERS, writes
from caffeflow.export.onnx_model import OnnxNet
from caffeflow.export.onnx_refused import REFUSED
from caffeflow.export.onnx_run import run_onnx
from caffeflow.layers.spec import SPECS
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import TRAIN, NetParameter
from tests.support.every_layer_case import CASES
from tests.support.layer_battery import Case, assert_arrays_equal, run

TOLERANCE = 2e-5  # of the largest value
OPSETS = (11, 13, 18, 21)  # between them operators got axes, sizes and bounds as inputs

NO_ONNX = ("silence", "pooling-stochastic")  # the one has no top, the other no operator
WRITTEN = [case for case in CASES if case.type in WRITERS and not case.id.startswith(NO_ONNX)]

# DetectionOutput is cut off where PriorBoxes stand before it: test_detection_heads.py.
REFUSED_CASES = [
    case
    for case in CASES
    if case.type in REFUSED and case.tops and not (case.fed or case.type == "DetectionOutput")
]


def test_every_layer_type_is_written_or_refused_with_a_reason() -> None:
    assert set(WRITERS).isdisjoint(REFUSED)
    assert set(WRITERS) | set(REFUSED) | {"Input"} == set(SPECS)
    assert (len(WRITERS), len(REFUSED)) == (44, 27)
    assert all(reason for reason in REFUSED.values())


def test_every_type_written_has_cases() -> None:
    counts = Counter(case.type for case in WRITTEN)
    assert set(counts) == set(WRITERS) - {"Silence"}
    assert len(WRITTEN) == 195


def test_the_list_of_families_is_the_folder() -> None:
    folder = Path(onnx_layers.__file__).parent
    listed = {name for name, value in vars(onnx_layers).items() if isinstance(value, ModuleType)}
    assert listed == {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert len(listed) == 24


def test_a_type_has_one_writer() -> None:
    with pytest.raises(ValueError, match="layer type 'ReLU' has two ONNX writers"):
        writes("ReLU")(lambda layer: None)


def net_of(case: Case) -> NetParameter:
    """Returns a net of the case's layer and inputs for its bottoms."""
    net = NetParameter(name=case.id)
    message = case.facts.node.layer
    for name, value in zip(message.bottom, case.values(), strict=True):
        shape = {"dim": value.shape}
        net.layer.add(name=name, type="Input", top=[name], input_param={"shape": [shape]})
    net.layer.add().CopyFrom(message)
    if case.phase == "TRAIN":
        net.layer[-1].phase = TRAIN
    return net


def export(case: Case, **settings) -> OnnxNet:
    arrays = tuple(case.blob_values())
    weights = LayerArrays(name="layer", type=case.type, bottoms=(), tops=(), arrays=arrays)
    return export_onnx(net_of(case), [weights], **settings)


def tops_of(case: Case, exported: OnnxNet, values: list[np.ndarray]) -> list[np.ndarray]:
    inputs = dict(zip(case.facts.node.layer.bottom, values, strict=True))
    found = run_onnx(b"".join(exported.pieces()), inputs, warns=True)
    tops = list(case.facts.node.layer.top)
    if case.in_place:
        (found,) = ({tops[0]: value} for value in found.values())
    assert sorted(found) == sorted(tops)
    return [found[top] for top in tops]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.id)
def test_onnxruntime_computes_what_loops_do(case: Case, opset: int, capfd) -> None:
    tops = tops_of(case, export(case, opset=opset), case.values())
    assert_arrays_equal(tops, case.expected(case.values()), tolerance=TOLERANCE)
    assert_arrays_equal(tops, run(case.module(), case.values()), tolerance=TOLERANCE)
    assert capfd.readouterr().err == "", "onnxruntime warned"


@pytest.mark.parametrize("case", [case for case in WRITTEN if case.larger_batch], ids=lambda case: case.id)
def test_an_open_batch_size_takes_any_batch(case: Case) -> None:
    exported = export(case, dynamic_batch=True)
    for extra in (0, 1, 3):
        values = [np.concatenate([value, *[value[:1]] * extra]) for value in case.values()]
        tops = tops_of(case, exported, values)
        assert_arrays_equal(tops, case.expected(values), tolerance=TOLERANCE)


@pytest.mark.parametrize("case", REFUSED_CASES, ids=lambda case: case.id)
def test_what_is_refused_says_why(case: Case) -> None:
    with pytest.raises(UnsupportedLayerError, match=r"^layer 'layer': type '") as caught:
        export(case)
    assert REFUSED[case.type] in str(caught.value)

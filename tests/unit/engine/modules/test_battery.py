"""Every layer type through the battery, and the tables that must agree with each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import caffeflow
from caffeflow.engine.modules.registry import MODULES, LayerModule, Setup, build_module, module
from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.spec import SPECS
from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.every_layer_case import CASES
from tests.support.layer_battery import CHECKS, as_tuple, assert_arrays_equal


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layer(case, check):
    check(case)


def test_every_type_has_a_spec_a_module_and_a_case():
    tested = {case.type for case in CASES}
    assert set(SPECS) == set(MODULES) == tested | {"Python"}  # test_python_layer.py
    assert len(tested) == 71
    assert len({case.id for case in CASES}) == len(CASES) == 364


@pytest.mark.parametrize(
    ("folder", "others", "count"),
    [
        ("layers", {"__init__", "spec", "params", "inference", "unsupported", "boxes", "tf_padding"}, 41),
        (
            "engine/modules",
            {"__init__", "registry", "boxes", "nms", "pixel_boxes", "recurrent_steps"}
            | {f"multibox_{part}" for part in ("heads", "matching", "mining", "terms")},
            40,
        ),
    ],
)
def test_the_list_of_families_is_the_folder(folder, others, count):
    path = Path(caffeflow.__file__).parent / folder
    families = sorted({file.stem for file in path.glob("*.py")} - others)
    package = f"caffeflow.{folder.replace('/', '.')}"
    listed = [
        line for line in (path / "__init__.py").read_text().splitlines() if line.startswith("from caffe")
    ]
    assert listed == [f"from {package} import {family} as {family}" for family in families]
    assert len(families) == count


def test_a_type_cannot_have_two_modules():
    class Second(LayerModule):
        pass

    with pytest.raises(ValueError, match="'Pooling' is registered twice"):
        module("Pooling")(Second)
    assert MODULES["Pooling"].__name__ == "Pooling"


def test_a_type_without_module_is_named():
    setup = Setup(layer=LayerParameter(name="x", type="Nope"), params=None, bottoms=(), tops=(), phase="TEST")
    with pytest.raises(UnsupportedLayerError, match=r"layer 'x'.*'Nope'"):
        build_module(setup)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layer_on_cuda_equals_loops(case):
    module = case.module(double=True).to("cuda")
    with torch.no_grad():
        tops = as_tuple(module(*(torch.from_numpy(value).double().cuda() for value in case.values())))
    assert_arrays_equal([top.cpu() for top in tops], case.expected(case.values()), tolerance=1e-10)

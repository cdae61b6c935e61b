"""The battery that every layer type goes through: seven small checks of one case.

A case is a layer as prototxt text, shapes or values of its bottoms, and an oracle written with loops. The
settings stand twice, once in the text and once in the oracle's arguments, so that reading is tested as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from caffeflow.engine.modules.registry import LayerModule, Setup, build_module
from caffeflow.layers.inference import LayerFacts, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import net_state
from caffeflow.proto.text import parse

Arrays = list[np.ndarray]
Oracle = Callable[[Arrays, Arrays], "np.ndarray | Sequence[np.ndarray]"]
"""(bottoms, learned blobs) -> top or tops."""

GradientOracle = Callable[[Arrays, Arrays, Arrays], Sequence[np.ndarray]]
"""(bottoms, learned blobs, gradients of the tops) -> gradients of the differentiable bottoms."""

SEED = 11


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One layer to be put through the battery.

    Attributes:
        id: Says what is special about it.
        prototxt: The layer without name, bottoms and tops.
        bottoms: Shapes, filled with normal values, or the values.
        oracle: Computes the tops with loops.
        fed: The layer has no bottoms; the values are what the feed brings for its tops.
        tops: How many tops it has.
        phase: TRAIN or TEST.
        in_place: The top overwrites the bottom.
        blobs: Values of the learned blobs; None: normal ones.
        names: Names of the learned blobs in caffemodel order.
        gradient: "numeric" checks against differences, an oracle against its values, None not at all.
        differentiable: Indices of the bottoms that get a gradient; None: all.
        larger_batch: The layer also runs with one row more than it was made for.
        varying_axis: The axis whose size is known only after a forward; None: there is none.
        by_values: What it does depends on values, so that it cannot run on the meta device.
        tolerance: Of the forward, relative to the largest value of each top.
    """

    id: str
    prototxt: str
    bottoms: Sequence[Shape | np.ndarray]
    oracle: Oracle
    fed: bool = False
    tops: int = 1
    phase: str = "TEST"
    in_place: bool = False
    blobs: Sequence[np.ndarray] | None = None
    names: tuple[str, ...] = ()
    gradient: GradientOracle | str | None = "numeric"
    differentiable: tuple[int, ...] | None = None
    larger_batch: bool = True
    varying_axis: int | None = None
    by_values: bool = False
    tolerance: float = 2e-6

    @property
    def type(self) -> str:
        """The layer type."""
        return self.facts.spec.type

    def values(self) -> Arrays:
        """The bottoms' values, always the same for a case."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        return [
            bottom.astype(np.float32)
            if isinstance(bottom, np.ndarray)
            else rng.standard_normal(bottom).astype(np.float32)
            for bottom in self.bottoms
        ]

    @cached_property
    def facts(self) -> LayerFacts:
        """What shape inference says about the layer, in a net of its own."""
        names = [] if self.fed else [f"b{index}" for index in range(len(self.bottoms))]
        tops = names[:1] if self.in_place else [f"t{index}" for index in range(self.tops)]
        links = [f'bottom: "{name}"' for name in names] + [f'top: "{name}"' for name in tops]
        inputs = [
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
            + " ".join(f"dim: {dim}" for dim in np.shape(value))
            + " } } }"
            for name, value in zip(names, self.values(), strict=not self.fed)
        ]
        text = "\n".join([*inputs, f'layer {{ name: "layer" {" ".join(links)} {self.prototxt} }}'])
        net = parse(text, NetParameter(), source=f"<{self.id}>")
        net.state.CopyFrom(net_state(self.phase))
        return infer(build_graph(net), record_shape=lambda _: (3, 11, 13)).layers[-1]

    def module(self, *, double: bool = False) -> LayerModule:
        """A fresh module with the case's blobs."""
        facts = self.facts
        setup = Setup(
            layer=facts.node.layer,
            params=facts.params,
            bottoms=facts.bottoms,
            tops=facts.tops,
            phase=self.phase,
            generator=torch.Generator().manual_seed(SEED),
        )
        module = build_module(setup).to(torch.float64 if double else torch.float32)
        with torch.no_grad():
            for learned, value in zip(module.learned, self.blob_values(), strict=True):
                learned.copy_(torch.from_numpy(np.asarray(value)))
        return module

    def expected(self, values: Arrays) -> np.ndarray | Sequence[np.ndarray]:
        """The tops that the oracle computes of some bottoms."""
        return self.oracle(doubles(values), doubles(self.blob_values()))

    def blob_values(self) -> Arrays:
        """The learned blobs' values, always the same for a case."""
        if self.blobs is not None:
            return [np.asarray(blob, np.float32) for blob in self.blobs]
        rng = np.random.default_rng(SEED)
        return [np.asarray(rng.standard_normal(blob.shape), np.float32) for blob in self.facts.blobs]


def doubles(arrays: Sequence[np.ndarray]) -> Arrays:
    """Returns the same values for an oracle to compute with in double precision."""
    return [array.astype(np.float64) for array in arrays]


def check_layer(case: Case) -> None:
    """Puts a case through all checks."""
    for check in CHECKS:
        check(case)


def check_reads_and_infers(case: Case) -> None:
    """The text reads, and the layer has as many tops as it says."""
    facts = case.facts
    assert len(facts.tops) == case.tops
    assert all(dim > 0 for top in facts.tops for dim in top)


def check_shapes_are_real(case: Case) -> None:
    """Inferred shapes = shapes of the real tops = shapes of tops on the meta device."""
    facts, module = case.facts, case.module()
    real = [tuple(top.shape) for top in run(module, case.values())]
    if case.varying_axis is not None:
        place = case.varying_axis
        for found, nominal in zip(real, facts.tops, strict=True):
            assert (*found[:place], *found[place + 1 :]) == (*nominal[:place], *nominal[place + 1 :])
        return
    assert real == list(facts.tops)
    if case.by_values:
        return
    meta = module.to("meta")
    tops = as_tuple(meta(*(torch.empty(value.shape, device="meta") for value in case.values())))
    assert [tuple(top.shape) for top in tops] == real


def check_forward_equals_loops(case: Case) -> None:
    """The tops are the oracle's, in float32 and in float64."""
    for double, tolerance in ((False, case.tolerance), (True, 1e-12)):
        found = run(case.module(double=double), case.values(), double=double)
        assert_arrays_equal(found, case.expected(case.values()), tolerance=tolerance)


def check_larger_batch(case: Case) -> None:
    """A module made for N rows runs with N + 1 as well."""
    if not case.larger_batch:
        return
    values = [np.concatenate([value, value[:1]]) for value in case.values()]
    found = run(case.module(), values)
    assert_arrays_equal(found, case.expected(values), tolerance=case.tolerance)


def check_gradient(case: Case) -> None:
    """The gradients in double precision are Caffe's."""
    module = case.module(double=True)
    bottoms = [torch.from_numpy(value).double() for value in case.values()]
    chosen = range(len(bottoms)) if case.differentiable is None else case.differentiable
    for index in chosen:
        bottoms[index].requires_grad_()
    if case.gradient is None:
        tops = as_tuple(module(*bottoms))
        assert not any(top.requires_grad for top in tops)
    elif case.gradient == "numeric":
        parameters = list(module.parameters())
        torch.autograd.gradcheck(lambda *_: repeatable(module, bottoms), (*bottoms, *parameters))
    else:
        _compare_with_gradient_oracle(case, module, bottoms, [bottoms[index] for index in chosen])


def _compare_with_gradient_oracle(
    case: Case, module: LayerModule, bottoms: list[torch.Tensor], chosen: list[torch.Tensor]
) -> None:
    assert callable(case.gradient)
    tops = as_tuple(module(*bottoms))
    rng = np.random.default_rng(SEED)
    diffs = [np.asarray(rng.standard_normal(top.shape)) for top in tops]
    seeds = [
        (top, torch.from_numpy(diff)) for top, diff in zip(tops, diffs, strict=True) if top.requires_grad
    ]
    found = torch.autograd.grad([top for top, _ in seeds], chosen, [seed for _, seed in seeds])
    expected = case.gradient(doubles(case.values()), doubles(case.blob_values()), diffs)
    assert_arrays_equal(found, expected, tolerance=1e-9)


def check_blobs(case: Case) -> None:
    """The learned blobs have the declared names and shapes, and come back from a caffemodel."""
    facts, module = case.facts, case.module()
    assert tuple(blob.name for blob in facts.blobs) == case.names
    assert [tuple(blob.shape) for blob in module.learned] == [blob.shape for blob in facts.blobs]
    trained = [blob.name for blob in facts.blobs if blob.trained]
    assert [name for name, _ in module.named_parameters()] == trained
    assert module.blob_names == case.names
    arrays = tuple(blob.detach().numpy() for blob in module.learned)
    path = Path("layer.caffemodel")
    layer = LayerArrays(name="layer", type=case.type, bottoms=("b0",), tops=("t0",), arrays=arrays)
    write_caffemodel(path, name="net", layers=[layer])
    (stored,) = read_caffemodel(path)
    for found, expected in zip(stored.arrays, case.blob_values(), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


def check_memory_order(case: Case) -> None:
    """The tops do not depend on the bottoms' memory order: channels_last gives the same."""
    values = [torch.from_numpy(value) for value in case.values()]
    last = [
        value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value for value in values
    ]
    plain, other = run(case.module(), values), run(case.module(), last)
    assert_arrays_equal(other, plain, tolerance=case.tolerance)


CHECKS: tuple[Callable[[Case], None], ...] = (
    check_reads_and_infers,
    check_shapes_are_real,
    check_forward_equals_loops,
    check_larger_batch,
    check_gradient,
    check_blobs,
    check_memory_order,
)


def as_tuple(tops: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Returns tops as a tuple, however many there are."""
    return (tops,) if isinstance(tops, torch.Tensor) else tuple(tops)


def run(module: LayerModule, bottoms: Sequence[np.ndarray | torch.Tensor], *, double: bool = False) -> Arrays:
    """Returns the tops, without gradients; the module must be in the same precision."""
    dtype = torch.float64 if double else torch.float32
    with torch.no_grad():
        tops = as_tuple(module(*(torch.as_tensor(bottom).to(dtype) for bottom in bottoms)))
    assert all(top.dtype == dtype for top in tops)
    return [top.numpy() for top in tops]


def repeatable(module: LayerModule, bottoms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Runs a module so that it draws the same random numbers every time."""
    generator = getattr(module, "generator", None)
    if generator is not None:
        generator.manual_seed(SEED)
    return as_tuple(module(*bottoms))


def assert_arrays_equal(
    found: Sequence[np.ndarray | torch.Tensor],
    expected: np.ndarray | Sequence[np.ndarray],
    *,
    tolerance: float,
) -> None:
    """Compares count, then shapes, then values; the tolerance is relative to the largest value expected."""
    wanted = [expected] if isinstance(expected, np.ndarray) else list(expected)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        array = np.asarray(one)
        assert array.shape == other.shape
        largest = float(np.abs(other[np.isfinite(other)]).max(initial=0))
        np.testing.assert_allclose(array, other, rtol=0, atol=tolerance * max(largest, 1e-30))

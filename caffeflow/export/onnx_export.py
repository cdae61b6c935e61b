"""A deploy net and its weights as ONNX, from the layer table alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

import caffeflow.export.onnx_layers as _all_writers  # noqa: F401 - fills the table of writers
from caffeflow import __version__
from caffeflow.errors import NetError, UsageError
from caffeflow.export.detection_head import DetectionHead, find_head
from caffeflow.export.onnx_graph import OnnxGraph
from caffeflow.export.onnx_layer import WRITERS, OnnxLayer
from caffeflow.export.onnx_merging import scales_to_merge
from caffeflow.export.onnx_model import OnnxNet
from caffeflow.export.onnx_refused import REFUSED
from caffeflow.export.onnx_values import (
    INPUT,
    OPEN,
    Values,
    check_types,
    name_values,
    needed_nodes,
    open_sizes,
)
from caffeflow.export.onnx_weights import NetArrays, arrays_for
from caffeflow.layers.inference import LayerFacts, NetShapes, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Graph, Value, build_graph
from caffeflow.proto.net import filter_net, net_state

DEFAULT_OPSET: Final = 13
"""What most compilers of vision chips take; they know 11 to 13."""
OPSETS: Final = range(11, 22)
"""Versions of ONNX's operators that nets are written for."""

_CUT: Final = "DetectionOutput"


def export_onnx(
    net: NetParameter,
    layers: Sequence[LayerArrays],
    *,
    opset: int = DEFAULT_OPSET,
    dynamic_batch: bool = False,
    keep: Collection[str] = (),
    properties: Mapping[str, str] = MappingProxyType({}),
) -> OnnxNet:
    """Returns a deploy net with its weights as ONNX, checked.

    Args:
        net: The net, upgraded; its layers of the TEST phase are taken.
        layers: Its weights.
        opset: The version of ONNX's operators.
        dynamic_batch: Whether the batch size is left open.
        keep: Names of blobs that are outputs besides the net's own.
        properties: What else the file says of the net, in words of the caller's.

    Raises:
        UsageError: The opset is not one of `OPSETS`.
        NetError: A layer that Caffe would refuse, or that ONNX cannot say; it names the layer.
        WeightsError: The weights are not those of the net.
    """
    if opset not in OPSETS:
        raise UsageError(f"opset {opset} is not written; choose {OPSETS.start} to {OPSETS.stop - 1}")
    plan = _plan(filter_net(net, net_state("TEST")), keep, dynamic_batch=dynamic_batch)
    arrays = arrays_for(plan.parts, layers)
    body = OnnxGraph(opset, plan.values.names.values())
    _write_layers(plan, arrays, body)
    names = _name_outputs(plan, body)
    frame = _frame(plan, body, names)
    helper.set_model_props(frame, dict(properties))
    exported = OnnxNet(
        frame=frame,
        weights=body.weights,
        inputs={value.blob: plan.dims[value] for value in plan.inputs},
        outputs={name: plan.dims[value] for name, value in zip(names, plan.outputs, strict=True)},
        blobs={name: value.blob for name, value in zip(names, plan.outputs, strict=True)},
        head=plan.head,
        unused=arrays.unused,
    )
    exported.check()
    return exported


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to be written.

    Attributes:
        parts: The layers that have a part in the outputs, in file order.
        outputs: Values of the graph that leave it.
        sizes: The shape of each value.
        dims: The same, with OPEN where a size follows the batch size.
        head: The DetectionOutput that was cut off.
    """

    graph: Graph
    parts: Sequence[LayerFacts]
    outputs: Sequence[Value]
    values: Values
    sizes: Mapping[Value, Shape]
    dims: Mapping[Value, Shape]
    head: DetectionHead | None

    @property
    def inputs(self) -> list[Value]:
        """The values that come from outside, in file order."""
        read = {value for facts in self.parts for value in facts.node.bottoms}
        tops = [top for facts in self.parts if facts.spec.type == INPUT for top in facts.node.tops]
        return [top for top in tops if top in read]

    def info(self, name: str, value: Value) -> ValueInfoProto:
        """Returns what ONNX says of a value: that it is float32, and its shape."""
        batch = self.sizes[self.inputs[0]][0] if self.inputs and self.sizes[self.inputs[0]] else None
        dims: list[int | str | None] = [
            size if size != OPEN else "batch" if self.sizes[value][axis] == batch else None
            for axis, size in enumerate(self.dims[value])
        ]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def _plan(net: NetParameter, keep: Collection[str], *, dynamic_batch: bool) -> _Plan:
    graph = build_graph(net)
    shapes = infer(graph)
    head, ends = _cut_head(graph, shapes)
    outputs = tuple(dict.fromkeys([*ends, *(graph.last(blob) for blob in keep)]))
    needed = needed_nodes(graph, outputs)
    check_types(needed, [*WRITERS, INPUT], REFUSED)
    return _Plan(
        graph=graph,
        parts=[shapes.layers[node.index] for node in needed],
        outputs=outputs,
        values=name_values(graph),
        sizes=shapes.tops,
        dims=open_sizes(net, shapes) if dynamic_batch else shapes.tops,
        head=head,
    )


def _cut_head(graph: Graph, shapes: NetShapes) -> tuple[DetectionHead | None, tuple[Value, ...]]:
    """Returns the DetectionOutput that nothing reads, if there is one, and the net's outputs without it."""
    makers = {top: facts for facts in shapes.layers for top in facts.node.tops}
    ends = [value for value in graph.outputs if makers[value].spec.type != INPUT]
    cut = [makers[value] for value in ends if makers[value].spec.type == _CUT]
    if len(cut) > 1:
        raise NetError("a second DetectionOutput; a net is exported with one head", layer=cut[1].name)
    head = find_head(cut[0], makers) if cut else None
    outputs = [] if head is None else [head.loc, head.conf]
    outputs += [value for value in ends if makers[value].spec.type != _CUT]
    if not outputs:
        raise NetError("the net has no output; expected a layer whose top no other layer reads")
    return head, tuple(outputs)


def _write_layers(plan: _Plan, arrays: NetArrays, body: OnnxGraph) -> None:
    merged = scales_to_merge(plan.graph, plan.parts, plan.outputs)
    for facts in plan.parts:
        if facts.spec.type == INPUT or facts in merged.values():
            continue
        layer = _layer(plan, facts, arrays, body)
        scale = merged.get(facts.node.tops[0]) if facts.node.tops else None
        if scale is not None:
            behind = _layer(plan, scale, arrays, body)
            layer = replace(layer, tops=behind.tops, scale=behind)
        WRITERS[facts.spec.type](layer)


def _layer(plan: _Plan, facts: LayerFacts, arrays: NetArrays, body: OnnxGraph) -> OnnxLayer:
    name, dims = plan.values.name, plan.dims
    bottoms, tops = facts.node.bottoms, facts.node.tops
    return OnnxLayer(
        graph=body,
        facts=facts,
        arrays=arrays.by_layer.get(facts.name, ()),
        bottoms=tuple(name(value) for value in bottoms),
        tops=tuple(name(value) for value in tops),
        bottom_dims=tuple(dims[value] for value in bottoms),
        top_dims=tuple(dims[value] for value in tops),
        phase=plan.graph.phase_of(facts.node),
    )


def _name_outputs(plan: _Plan, body: OnnxGraph) -> list[str]:
    """Returns the names of the outputs; one that is another value's other name gets an Identity."""
    names = []
    for value in plan.outputs:
        name = plan.values.name(value)
        is_root = plan.values.roots[value] == value
        if not is_root and (name != value.blob or plan.values.roots[value] in plan.inputs):
            source, name = name, body.new_value(value.blob)
            body.node("Identity", [source], [name], name=name)
        names.append(name)
    return names


def _frame(plan: _Plan, body: OnnxGraph, output_names: Sequence[str]) -> ModelProto:
    """Returns the model without its weights; the shapes of all blobs stand in it."""
    outputs = [plan.info(name, value) for name, value in zip(output_names, plan.outputs, strict=True)]
    inputs = [plan.info(value.blob, value) for value in plan.inputs]
    shown = {*output_names, *(value.blob for value in plan.inputs)}
    written = {name for node in body.nodes for name in node.output}
    inner = [
        plan.info(name, value)
        for value, name in plan.values.names.items()
        if name in written and name not in shown
    ]
    graph = helper.make_graph(
        body.nodes, plan.graph.name or "net", inputs, outputs, initializer=body.constants, value_info=inner
    )
    operators = helper.make_opsetid("", body.opset)
    return helper.make_model(
        graph,
        opset_imports=[operators],
        ir_version=helper.find_min_ir_version_for([operators]),
        producer_name="caffeflow",
        producer_version=__version__,
    )

"""A net that can run: its graph, a torch module a layer, and its learned blobs.

The one rule to know: a learned blob is one tensor, however many layers or nets use it. Layers that
share a param hold the owner's tensor, and a test net holds the train net's (`share`), so nothing is
ever copied to keep them equal.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from caffeflow import fillers
from caffeflow.engine.modules.data import Fed
from caffeflow.engine.modules.registry import LayerModule, Setup, build_module
from caffeflow.engine.ownership import Owned, owned_blobs
from caffeflow.engine.parameters import LearnedBlob
from caffeflow.errors import NetError, WeightsError
from caffeflow.layers.inference import LayerFacts, NetShapes, RecordShape, follow, infer
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Blob, Shape
from caffeflow.proto.binary import LayerArrays, blob_to_array
from caffeflow.proto.graph import Graph, Value, build_graph
from caffeflow.proto.matching import CopyPlan, match
from caffeflow.proto.net import NetRole
from caffeflow.proto.splits import insert_splits
from caffeflow.proto.text import located


@dataclass(frozen=True, kw_only=True)
class NetLayer:
    """One layer of a net.

    Attributes:
        facts: Its node, params and shapes.
        module: What computes it.
        loss_weights: One a top, with those that the file leaves out; 0 where a top is no loss.
        detached: For each bottom, whether `propagate_down: false` stops gradients there; `force_backward`
            overrules it.
        phase: `TRAIN` or `TEST`.
    """

    facts: LayerFacts
    module: LayerModule
    loss_weights: tuple[float, ...]
    detached: tuple[bool, ...]
    phase: str

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.facts.name

    @property
    def type(self) -> str:
        """The layer's type."""
        return self.facts.spec.type

    @property
    def is_fed(self) -> bool:
        """Whether its tops come from outside."""
        return isinstance(self.module, Fed)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The layer's learned blobs, in caffemodel order."""
        return tuple(self.module.learned)

    def replace(self, index: int, tensor: Tensor) -> None:
        """Lets the layer use another tensor as one of its learned blobs."""
        setattr(self.module, self.facts.blobs[index].name, tensor)


@dataclass(frozen=True)
class Output:
    """A value that nothing reads, which Caffe prints, with its loss weight (0: it is no loss)."""

    value: Value
    weight: float


class Net:
    """A net on a device.

    Args:
        graph: The layers of one phase.
        shapes: Their shapes.
        seed: Of the fillers and of dropout; None leaves learned blobs at zero, for a net that will
            share or load them.
        shares: The net whose blobs it will `share`: what that brings is not filled.
        force_backward: Every learned blob gets a gradient, and none is stopped; the net's field.
        device: Where it runs.

    Raises:
        NetError: Layers that share a param disagree, or blobs written in the file do not fit.
    """

    def __init__(
        self,
        graph: Graph,
        shapes: NetShapes,
        *,
        seed: int | None = 0,
        shares: Net | None = None,
        force_backward: bool = False,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    ) -> None:
        self.graph: Final = graph
        self._force_backward: Final = force_backward
        self.shapes = shapes
        self.device: Final = device
        self.generator: Final = torch.Generator(device).manual_seed(seed or 0)
        self.layers = tuple(self._build(facts) for facts in shapes.layers)
        owned = owned_blobs(shapes.layers)
        self._join(owned)
        if seed is not None:
            brought = set() if shares is None else {id(mine) for mine, _ in self._pairs(shares)}
            self._fill(owned, np.random.default_rng(seed), brought)
        for layer in self.layers:
            layer.module.to(device)
        self._owned: Final = tuple(owned)

    @classmethod
    def of(
        cls,
        role: NetRole,
        *,
        record_shape: RecordShape | None = None,
        seed: int | None = 0,
        shares: Net | None = None,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    ) -> Net:
        """Builds the net of a file; errors name the file and the line.

        Raises:
            NetError: A net that Caffe would refuse, or that cannot run here.
        """
        with located(role.net_file):
            weighted = any(any(layer.loss_weight) for layer in role.net.layer)
            graph = build_graph(insert_splits(role.net, only_of_losses=True) if weighted else role.net)
            shapes = infer(graph, record_shape=record_shape)
            force = role.net.force_backward
            return cls(graph, shapes, seed=seed, shares=shares, force_backward=force, device=device)

    @property
    def learned(self) -> tuple[LearnedBlob, ...]:
        """The learned blobs in the order of Caffe's learnable params."""
        return tuple(self._learned(owned) for owned in self._owned)

    @property
    def fed(self) -> tuple[NetLayer, ...]:
        """The layers whose tops come from outside: data, dummy data and inputs."""
        return tuple(layer for layer in self.layers if layer.is_fed)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What Caffe prints, in its order."""
        weights = {
            top: weight
            for layer in self.layers
            for top, weight in zip(layer.facts.node.tops, layer.loss_weights, strict=False)
        }
        return tuple(Output(value, weights[value]) for value in self.graph.outputs)

    def load(self, source: Sequence[LayerArrays]) -> CopyPlan:
        """Copies weights by layer name, as Caffe does, and returns what was copied.

        Raises:
            WeightsError: A layer of the same name has other shapes.
        """
        first = self._first_of_name()
        plan = match(
            source, {name: [blob.shape for blob in layer.facts.blobs] for name, layer in first.items()}
        )
        with torch.no_grad():
            for name, arrays in plan.copied:
                for tensor, array in zip(first[name].tensors, arrays, strict=True):
                    tensor.copy_(torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape)))
        return plan

    def arrays(self) -> list[LayerArrays]:
        """Returns copies of all layers' blobs; blobs that layers share are written for each, as in Caffe."""
        return [
            LayerArrays(
                name=layer.name,
                type=layer.type,
                bottoms=tuple(layer.facts.node.layer.bottom),
                tops=tuple(layer.facts.node.layer.top),
                arrays=tuple(
                    np.array(tensor.detach().cpu().numpy(), np.float32, order="C") for tensor in layer.tensors
                ),
            )
            for layer in self.layers
        ]

    def share(self, other: Net) -> None:
        """Uses the learned blobs of another net from now on: for test nets, those of the train net.

        Raises:
            WeightsError: A layer of the same name has other blobs.
        """
        for target, layer in self._pairs(other):
            ours, theirs = target.facts.blobs, layer.facts.blobs
            if [blob.shape for blob in ours] != [blob.shape for blob in theirs]:
                raise WeightsError(
                    f"layer '{layer.name}': the test net and the train net share weights by layer name, but"
                    f" have blobs of {_describe(ours)} and {_describe(theirs)}; rename one of the layers"
                )
            for index, tensor in enumerate(layer.tensors):
                target.replace(index, tensor)

    def reshape(self, fed: Mapping[Value, Shape]) -> None:
        """Takes the tops of fed layers in other shapes from now on; only stepwise executors follow.

        Args:
            fed: The shape of each top of each fed layer.

        Raises:
            NetError: A layer refuses its new bottoms, or would learn other blobs with them.
        """
        shapes = follow(self.shapes, fed)
        layers = []
        for old, facts in zip(self.layers, shapes.layers, strict=True):
            if [blob.shape for blob in facts.blobs] != [blob.shape for blob in old.facts.blobs]:
                raise NetError(
                    f"has learned blobs of {_describe(old.facts.blobs)}; with bottoms of"
                    f" {', '.join(map(dims, facts.bottoms))} it needs {_describe(facts.blobs)}: give the net"
                    " an input of the size that it was made for",
                    layer=facts.name,
                )
            layers.append(old if facts.bottoms == old.facts.bottoms else self._rebuild(old, facts))
        self.shapes, self.layers = shapes, tuple(layers)

    def _rebuild(self, old: NetLayer, facts: LayerFacts) -> NetLayer:
        if old.is_fed:
            return replace(old, facts=facts)
        new = self._build(facts)
        new.module.to(self.device)
        for index, tensor in enumerate(old.tensors):
            new.replace(index, tensor)
        return new

    def _pairs(self, other: Net) -> Iterator[tuple[NetLayer, NetLayer]]:
        """Yields a layer of this net with each layer of the other one that has its name."""
        mine = self._first_of_name()
        return ((mine[layer.name], layer) for layer in other.layers if layer.name in mine)

    def _first_of_name(self) -> dict[str, NetLayer]:
        first: dict[str, NetLayer] = {}
        for layer in self.layers:
            first.setdefault(layer.name, layer)
        return first

    def _build(self, facts: LayerFacts) -> NetLayer:
        layer = facts.node.layer
        phase = self.graph.phase_of(facts.node)
        setup = Setup(
            layer=layer,
            params=facts.params,
            bottoms=facts.bottoms,
            tops=facts.tops,
            phase=phase,
            generator=self.generator,
        )
        weights = list(layer.loss_weight) or [facts.spec.default_loss_weight]
        cut = () if self._force_backward else tuple(not down for down in layer.propagate_down)
        return NetLayer(
            facts=facts,
            module=build_module(setup),
            loss_weights=tuple((weights + [0.0] * len(facts.tops))[: len(facts.tops)]),
            detached=cut or (False,) * len(layer.bottom),
            phase=phase,
        )

    def _join(self, owned: Sequence[Owned]) -> None:
        """Gives sharing layers the owner's tensor, and switches gradients off where nothing learns."""
        for blob in owned:
            first, *others = blob.places
            tensor = self.layers[first.layer].tensors[first.blob]
            if isinstance(tensor, nn.Parameter):
                tensor.requires_grad_(blob.lr_mult != 0 or self._force_backward)
            for place in others:
                shape = self.layers[place.layer].facts.blobs[place.blob].shape
                if shape == tuple(tensor.shape):
                    self.layers[place.layer].replace(place.blob, tensor)
                else:  # share_mode PERMISSIVE: the same values in another shape
                    seen = nn.Parameter(tensor.detach().view(shape), requires_grad=tensor.requires_grad)
                    self.layers[place.layer].replace(place.blob, seen)

    def _fill(self, owned: Sequence[Owned], rng: np.random.Generator, brought: Container[int]) -> None:
        for blob in owned:
            if all(id(self.layers[place.layer]) in brought for place in blob.places):
                continue
            place = blob.places[0]
            facts = self.layers[place.layer].facts
            tensor = self.layers[place.layer].tensors[place.blob]
            written = facts.node.layer.blobs
            if written:
                array = blob_to_array(written[place.blob]) if place.blob < len(written) else None
                if array is None or array.size != tensor.numel():
                    raise NetError(
                        f"the blobs written in the file do not fit: expected {_describe(facts.blobs)}",
                        layer=facts.name,
                    )
                tensor.data.copy_(torch.from_numpy(array).view(tensor.shape))
            else:
                spec = facts.blobs[place.blob]
                if spec.filler is not None:
                    tensor.data.copy_(torch.from_numpy(fillers.fill(spec.filler, spec.shape, rng)))

    def _learned(self, owned: Owned) -> LearnedBlob:
        first = owned.places[0]
        facts = self.layers[first.layer].facts
        tensors: list[Tensor] = []
        for place in owned.places:
            tensor = self.layers[place.layer].tensors[place.blob]
            if not any(tensor is known for known in tensors):
                tensors.append(tensor)
        return LearnedBlob(
            layer=facts.name,
            index=first.blob,
            name=facts.blobs[first.blob].name,
            lr_mult=owned.lr_mult,
            decay_mult=owned.decay_mult,
            tensors=tuple(tensors),
        )


def _describe(blobs: Sequence[Blob]) -> str:
    return ", ".join(dims(blob.shape) for blob in blobs) or "no shape"

"""A net that is being drawn: its layers so far, its blobs, and the values of its inputs.

Shapes of tops come from the layer types' own specs. What is wrong there shows against the real Caffe,
which works them out by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from caffeflow.layers.spec import spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import parse
from tests.support.random_nets.blobs import DrawnBlob, Shape, dims

Phase = Literal["TRAIN", "TEST"]
LARGEST: Final = 4000
"""No blob has more values than this, so that all nets run within seconds."""


class NothingFits(Exception):
    """No blob of the net can be read by the type that was to be added."""


@dataclass(kw_only=True)
class Sketch:
    """A net in the making.

    Attributes:
        random: Decides everything.
        phase: Of the whole net.
        smooth: No layer has a kink where a gradient passes.
        force: The net's `force_backward`.
        layers: The layers so far.
        blobs: Blob name to what is known of it now.
        unread: Names of blobs that nothing reads yet.
        feeds: Input blob to its values.
        shareable: Layers with named learned blobs, and the shape of what they read.
    """

    random: np.random.Generator
    phase: Phase
    smooth: bool
    force: bool
    layers: list[LayerParameter] = field(default_factory=list)
    blobs: dict[str, DrawnBlob] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    shareable: list[tuple[LayerParameter, Shape]] = field(default_factory=list)

    def copy(self) -> Sketch:
        """Returns the net as it is now, to come back to."""
        return replace(
            self,
            layers=list(self.layers),
            blobs=dict(self.blobs),
            unread=list(self.unread),
            feeds=dict(self.feeds),
            shareable=list(self.shareable),
        )

    def restore(self, before: Sketch) -> None:
        """Goes back to an earlier copy; what was drawn stays drawn."""
        self.layers, self.blobs, self.unread = list(before.layers), dict(before.blobs), list(before.unread)
        self.feeds, self.shareable = dict(before.feeds), list(before.shareable)

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return bool(self.random.random() < probability)

    def choose(self, *options: Any) -> Any:
        """Returns one of the options, each as likely."""
        return options[int(self.random.integers(len(options)))]

    def number(self, low: float, high: float) -> float:
        """Returns a number with three digits, which a prototxt holds exactly enough for both engines."""
        return round(float(self.random.uniform(low, high)), 3)

    def pick(self, fits: Callable[[DrawnBlob], bool], *, counted: bool = False) -> DrawnBlob:
        """Returns a blob that fits; mostly one that nothing reads yet, so that nets become deep.

        Args:
            fits: What to look for.
            counted: It may be one whose rows are counted only when values are known.

        Raises:
            NothingFits: There is none.
        """
        fitting = [blob for blob in self.blobs.values() if fits(blob) and (counted or not blob.counted)]
        fresh = [blob for blob in fitting if blob.name in self.unread]
        chosen = fresh if fresh and self.chance(0.75) else fitting
        if not chosen:
            raise NothingFits
        return chosen[int(self.random.integers(len(chosen)))]

    def mark(self, blob: DrawnBlob, **facts: Any) -> None:
        """Notes more about a blob that a layer has just made."""
        self.blobs[blob.name] = replace(blob, **facts)

    def add(
        self,
        kind: str,
        bottoms: Sequence[DrawnBlob],
        text: str = "",
        *,
        tops: int = 1,
        in_place: bool = False,
        final: bool = False,
        **facts: Any,
    ) -> list[DrawnBlob]:
        """Adds a layer and returns its tops.

        Args:
            kind: The layer type.
            bottoms: What it reads.
            text: Its other fields.
            tops: How many blobs it makes.
            in_place: It overwrites its first bottom.
            final: Nothing may read its tops, as they are losses or scores.
            facts: What is known of the tops and is not so of the first bottom; see `DrawnBlob`.
        """
        name = f"{kind.lower()}{len(self.layers) + 1}"
        layer = parse(f'name: "{name}" type: "{kind}" {text}', LayerParameter(), source=name)
        layer.bottom.extend(bottom.name for bottom in bottoms)
        layer.top.extend([bottoms[0].name] if in_place else _top_names(name, tops))
        shapes = self._shapes(layer, bottoms)
        made = [
            self._describe(layer, top, shape, bottoms, facts)
            for top, shape in zip(layer.top, shapes, strict=False)
        ]
        if any(blob.count > LARGEST or not blob.count for blob in made):
            raise NothingFits
        self._enter(layer, [] if final else made)
        return made

    def add_input(self, shape: Shape, values: np.ndarray, **facts: Any) -> DrawnBlob:
        """Adds an input with its values."""
        (blob,) = self.add("Input", (), f"input_param {{ shape {{ {dims(shape)} }} }}", free=True, **facts)
        self.feeds[blob.name] = values.astype(np.float32)
        return blob

    def _enter(self, layer: LayerParameter, made: Sequence[DrawnBlob]) -> None:
        self.layers.append(layer)
        self.unread = [name for name in self.unread if name not in layer.bottom]
        for blob in made:
            self.blobs[blob.name] = blob
            self.unread.append(blob.name)

    @staticmethod
    def _shapes(layer: LayerParameter, bottoms: Sequence[DrawnBlob]) -> list[Shape]:
        spec = spec_for(layer)
        return [tuple(shape) for shape in spec.shapes(spec.read(layer), [bottom.shape for bottom in bottoms])]

    def _describe(
        self,
        layer: LayerParameter,
        top: str,
        shape: Shape,
        bottoms: Sequence[DrawnBlob],
        facts: dict[str, Any],
    ) -> DrawnBlob:
        spec = spec_for(layer)
        learned = spec.blobs(spec.read(layer), [bottom.shape for bottom in bottoms])
        inherited = {
            "size": max((bottom.size for bottom in bottoms), default=1.0),
            "varied": all(bottom.varied for bottom in bottoms),
            "flows": all(bottom.flows for bottom in bottoms),
            "constant": bool(bottoms) and all(bottom.constant for bottom in bottoms),
            "centred": any(bottom.centred for bottom in bottoms),
            "counted": any(bottom.counted for bottom in bottoms),
            "learns": self.force or bool(learned) or any(bottom.learns for bottom in bottoms),
        }
        return DrawnBlob(name=top, shape=shape, **(inherited | facts))


def _top_names(name: str, tops: int) -> list[str]:
    return [name] if tops == 1 else [f"{name}_{place}" for place in range(tops)]

"""`caffeflow weights backbone`: a classification net's weights as the beginning of a detection net's."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow.errors import TemplateError, UsageError, WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.render.backbone import Backbone
from caffeflow.render.catalog import Net, find_net, net_names
from caffeflow.weights.backbone import Mapped, map_backbone, norms_of
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.render import MODELS_DIR
from caffeflow.workflows.weights_out import check_out, write_out

_OUT_NAME: Final = "backbone.caffemodel"
_VARIABLES: Final = ".variables.toml"
_HARDLY_SEEN: Final = 5  # of 255 shades
# Data layers of detection nets resize what they read: no weight depends on its size.
_ANY_RECORD: Final = (3, 300, 300)


@dataclass(frozen=True, kw_only=True)
class BackboneRequest:
    """What is to be mapped.

    Attributes:
        classifier: The classification net's caffemodel.
        to: The detection net: a catalogue name, or a folder or file that was rendered from one.
        assignments: Variable name to text, for a catalogue name.
        out: The caffemodel to write; None: `backbone.caffemodel` beside the net.
        force: Replace a file that is there.
    """

    classifier: Path
    to: str
    assignments: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class BackboneReport:
    """What was mapped.

    Attributes:
        net: The detection net's catalogue name.
        classifier: The classification net's.
        out: The file written.
        mapped: The weights, and where they come from.
        notes: What the user should know.
    """

    net: str
    classifier: str
    out: Path
    mapped: Mapped
    notes: tuple[str, ...]


def backbone(request: BackboneRequest) -> BackboneReport:
    """Writes a classification net's weights under the names of a detection net's backbone.

    Raises:
        UsageError: The file is there already, or the net is none of the catalogue's.
        TemplateError: The net has no backbone, or no such variable.
        WeightsError: The caffemodel is of another net, or does not fit.
    """
    net = _catalogue_net(request.to)
    facts = _backbone_of(net)
    out = request.out or _folder_of(request.to, net) / _OUT_NAME
    source = read_weights(request.classifier)
    _check_source(request.classifier, source, net, facts)
    check_out(out, force=request.force)
    ask = Ask(net=request.to, phase="TRAIN", assignments=request.assignments, record=_ANY_RECORD)
    opened = open_net(ask)
    try:
        mapped = map_backbone_of(opened, facts, source)
    except WeightsError as error:
        raise WeightsError(f"{request.classifier}: {error}") from error
    write_out(out, name=opened.net.name, layers=mapped.layers)
    return BackboneReport(
        net=net.name,
        classifier=facts.classifier,
        out=out,
        mapped=mapped,
        notes=tuple(_notes(source, opened, facts)),
    )


def map_backbone_of(detector: OpenedNet, facts: Backbone, source: Sequence[LayerArrays]) -> Mapped:
    """Returns a classification net's weights as those of a detection net's backbone.

    Raises:
        WeightsError: A layer that does not fit.
    """
    return map_backbone(
        source,
        names=facts.layers,
        windows=facts.thinned,
        norms_there=norms_of(open_net(Ask(net=facts.classifier)).graph),
        norms_here=norms_of(detector.graph),
        shapes=detector.shapes(),
    )


def _notes(source: Sequence[LayerArrays], detector: OpenedNet, facts: Backbone) -> Iterator[str]:
    present = {layer.name for layer in source}
    yield from (text for layer, text in facts.beware.items() if layer in present)
    there = _input_of(open_net(Ask(net=facts.classifier, phase="TRAIN")))
    here = _input_of(detector)
    if there is not None and here is not None and not here.is_near(there):
        mean = ",".join(f"{value:g}" for value in there.mean)
        yield (
            f"the recipe of {facts.classifier} feeds {there}, the net is fed {here}; if the file was"
            f" trained so, render the net with --mean {mean} --scale {there.scale:g}"
        )


@dataclass(frozen=True)
class _Input:
    """What a data layer makes of pixels: less a mean for each channel, times a factor."""

    mean: tuple[float, ...]
    scale: float

    def __str__(self) -> str:
        means = self.mean if len(set(self.mean)) > 1 else self.mean[:1]
        return f"(pixel - {', '.join(f'{value:g}' for value in means)}) x {self.scale:g}"

    def is_near(self, other: _Input) -> bool:
        """Whether the first layer would hardly notice: a tenth in scale, a few shades of gray in the mean."""
        shifts = (abs(mine - its) for mine, its in zip(self.mean, other.mean, strict=True))
        return math.isclose(self.scale, other.scale, rel_tol=0.1) and max(shifts) < _HARDLY_SEEN


def _input_of(opened: OpenedNet) -> _Input | None:
    """Returns how a net's data layer feeds it, if it has one that subtracts values."""
    for layer in opened.net.layer:
        values = tuple(layer.transform_param.mean_value)
        if values:
            return _Input(values * 3 if len(values) == 1 else values, layer.transform_param.scale)
    return None


def _catalogue_net(asked: str) -> Net:
    """Returns the net of a catalogue name, or the one that a folder or file was rendered from."""
    path = Path(asked)
    if not path.exists() and path.suffix != ".prototxt":
        return find_net(asked)
    folder = _folder_of(asked, None)
    found = sorted(folder.glob(f"*{_VARIABLES}"))
    if len(found) != 1:
        raise UsageError(
            f"{asked}: what it was rendered from is not known: {folder} holds {len(found)} files"
            f" '*{_VARIABLES}', expected one; name the net of the catalogue instead"
        )
    try:
        rendered = tomllib.loads(found[0].read_text(encoding="utf-8"))["rendered"]
        return find_net(rendered["net"], rendered.get("variant") or None)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise UsageError(
            f"{found[0]}: does not say what was rendered: {error}; render the net again"
        ) from error


def _folder_of(asked: str, net: Net | None) -> Path:
    path = Path(asked)
    if net is not None and not path.exists():
        return MODELS_DIR / net.name
    return path if path.is_dir() else path.parent


def _backbone_of(net: Net) -> Backbone:
    if net.backbone is None:
        known = ", ".join(_backbones())
        raise TemplateError(f"net '{net.name}' has no backbone to fill; those that have are {known}")
    return net.backbone


def _backbones() -> dict[str, Backbone]:
    """Returns all backbones of the catalogue by the name of their detection net."""
    nets = (find_net(name) for name in net_names())
    return {net.name: net.backbone for net in nets if net.backbone is not None}


def _check_source(path: Path, source: Sequence[LayerArrays], net: Net, facts: Backbone) -> None:
    """Raises an error that says what a file is good for, if it is not the classification net's."""
    present = {layer.name for layer in source if layer.arrays}
    missing = [name for name in facts.layers.values() if name not in present]
    if not missing:
        return
    if present.issuperset(facts.layers):
        raise WeightsError(
            f"{path}: has the layers of {net.name} already; train with it as it is, --weights {path}"
        )
    every = _backbones()
    fitting = {name: each for name, each in every.items() if present.issuperset(each.layers.values())}
    listed = ", ".join(f"{name} (from {each.classifier})" for name, each in (fitting or every).items())
    raise WeightsError(
        f"{path}: lacks {len(missing)} of the {len(facts.layers)} layers of {facts.classifier} that the"
        f" backbone of {net.name} is made from, such as '{missing[0]}'; "
        + (f"it fits --to {listed}" if fitting else f"backbones there are: {listed}")
    )

"""`caffeflow weights import`: a PyTorch net's weights as the caffemodel of the net that computes the same.

The one rule to know: variables are set from the file's shapes, and a net that would compute something
else than PyTorch's is refused, also where every shape fits.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from caffeflow.errors import TemplateError, UsageError, WeightsError
from caffeflow.render.catalog import find_net
from caffeflow.render.render import Rendered, render_in_memory
from caffeflow.render.resolve import Resolution
from caffeflow.render.variables import Variable, find_variable
from caffeflow.render.writing import check_free, write_files
from caffeflow.weights.backbone import norms_of
from caffeflow.weights.importing.convert import Imported, Target, convert, shapes_of
from caffeflow.weights.importing.counterpart import Counterpart, Shapes, rows_of
from caffeflow.weights.importing.fit import misfits, refuse
from caffeflow.weights.importing.normalisation import Normalisation
from caffeflow.weights.importing.recognise import find_family, importable, likeness, recognise
from caffeflow.weights.torch_files import read_state_dict
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.render import Request, render_net
from caffeflow.workflows.weights_out import check_out, write_out

_ENDING: Final = ".caffemodel"
_MEAN_VARIABLES: Final = ("data.mean", "data.mean_values", "data.mean_file")


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """What is to be imported.

    Attributes:
        path: PyTorch's file.
        to: The net, with `:variant` behind it if it has variants; None: what the keys tell.
        assignments: Variable name to text, over what the file tells.
        renames: Beginning of keys to what it becomes, before anything is looked at.
        normalisation: How the net was fed there.
        out: The caffemodel to write; None: beside the file.
        render_dir: Folder to render the net to; None: it is not rendered.
        data_dir: The dataset for that; None: the only one under `data/`.
        force: Replace files that are there.
    """

    path: Path
    to: str | None = None
    assignments: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    normalisation: Normalisation = field(default_factory=Normalisation)
    out: Path | None = None
    render_dir: Path | None = None
    data_dir: Path | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What was imported.

    Attributes:
        torch_name: What torchvision calls the net.
        net: The net it became, with its variant.
        out: The caffemodel.
        imported: The weights, and where they come from.
        mean_values: What is subtracted from pixels, B, G, R.
        scale: What they are multiplied by then: one factor, or three.
        input_size: Height and width of the net's input.
        render_command: What renders the net so that the weights fit it.
        rendered: The files of the net; empty if it was not rendered.
        notes: What rendering it had to say.
    """

    torch_name: str
    net: str
    out: Path
    imported: Imported
    mean_values: tuple[float, ...]
    scale: tuple[float, ...]
    input_size: tuple[int, int]
    render_command: str
    rendered: tuple[Path, ...]
    notes: tuple[str, ...]


def import_weights(request: ImportRequest) -> ImportReport:
    """Writes a caffemodel made of a PyTorch net's weights, and the net itself if that is asked for.

    Raises:
        UsageError: A file is there already, or options contradict each other.
        TemplateError: There is no such net or variable, or it would compute something else.
        WeightsError: The file cannot be read, is of another net, or has values that are no numbers.
    """
    out = request.out or request.path.with_suffix(_ENDING)
    check_out(out, force=request.force)
    tensors = _renamed(read_state_dict(request.path), request.renames)
    try:
        plan = _plan(request, shapes_of(tensors))
        imported = _imported(plan, tensors, request.normalisation)
    except WeightsError as error:
        raise WeightsError(f"{request.path}: {error}") from error
    render = plan.request(request)
    rendered: Rendered | None = None
    if request.render_dir is not None:  # whatever is wrong there is found before anything is written
        rendered = _rendered(plan, render, request.render_dir, force=request.force)
    write_out(out, name=plan.opened.net.name, layers=imported.layers)
    paths: list[Path] = []
    if rendered is not None and request.render_dir is not None:
        paths = write_files(request.render_dir, rendered.texts)
    resolution = rendered.resolution if rendered is not None else plan.resolution
    return ImportReport(
        torch_name=plan.counterpart.torch_name,
        net=plan.label,
        out=out,
        imported=imported,
        mean_values=request.normalisation.mean_values,
        scale=resolution["data.scale"],
        input_size=resolution["net.input_size"],
        render_command=render.command,
        rendered=tuple(paths),
        notes=tuple(resolution.notes) if rendered is not None else (),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A counterpart as a net with all its variables decided."""

    counterpart: Counterpart
    assignments: Mapping[str, str]
    resolution: Resolution
    opened: OpenedNet

    @property
    def label(self) -> str:
        net = self.resolution.net
        return f"{net.name}:{net.variant}" if len(net.variants) > 1 else net.name

    def request(self, request: ImportRequest) -> Request:
        """Returns what renders the net."""
        net = self.resolution.net
        variant = net.variant if len(net.variants) > 1 else None
        words = ["caffeflow", "render", net.name, *(("--variant", variant) if variant else ())]
        words += [word for name, text in self.assignments.items() for word in ("--set", f"{name}={text}")]
        words += ["--data", str(request.data_dir)] if request.data_dir else []
        words += ["--out", str(request.render_dir)] if request.render_dir else []
        return Request(
            net=net.name,
            variant=variant,
            data_dir=request.data_dir,
            assignments=self.assignments,
            out_dir=request.render_dir,
            command=shlex.join(words),
        )


def _plan(request: ImportRequest, shapes: Shapes) -> _Plan:
    counterpart = _counterpart(request.to, shapes)
    asked = request.to or counterpart.label
    name, _, variant = asked.partition(":")
    variant = variant or counterpart.variant
    net = find_net(name, variant or None)
    declared = {variable.name: variable for variable in net.variables}
    told = _told(counterpart, shapes)
    given = {
        find_variable(key, net.variables, net=net.name).name: text
        for key, text in request.assignments.items()
    }
    _check_given(given, told, counterpart, declared)
    told = {key: text for key, text in told.items() if declared[key].parse(text) != declared[key].default}
    means = ",".join(f"{value:.9g}" for value in request.normalisation.mean_values)
    assignments = {**told, "data.mean": means, "data.scale": "1", **given}
    resolution = render_in_memory(net.name, variant=net.variant or None, assignments=assignments).resolution
    _check_required(counterpart, resolution)
    label = f"{net.name}:{net.variant}" if net.variant else net.name
    opened = open_net(Ask(net=label, assignments=assignments))
    return _Plan(counterpart=counterpart, assignments=assignments, resolution=resolution, opened=opened)


def _counterpart(to: str | None, shapes: Shapes) -> Counterpart:
    """Returns what a file is: the net asked for, or the one that its keys are most like."""
    nearest = recognise(shapes)
    known = ", ".join(f"{name} (to {net})" for name, net in importable())
    if to is not None:
        asked_name, _, asked_variant = to.partition(":")
        name = find_net(asked_name, asked_variant or None).name
        family = find_family(name)
        if family is None:
            raise UsageError(f"--to {to}: no PyTorch net is known to be '{name}'; those known are {known}")
        asked = likeness(family, shapes)
        if asked.share >= nearest.share and asked.is_likely:
            nearest = replace(asked, counterpart=_of_net(asked.counterpart, name))
        elif nearest.is_likely:
            raise WeightsError(_other_net(nearest.counterpart, to))
    if not nearest.is_likely:
        first = ", ".join(f"'{key}'" for key in list(shapes)[:4])
        raise WeightsError(
            f"is of no net that can be imported: its {len(shapes)} keys begin with {first}; expected those of"
            f" {known}"
        )
    if nearest.counterpart.refused:
        raise WeightsError(
            f"looks like {nearest.counterpart.torch_name}: {nearest.counterpart.refused}; what can be"
            f" imported is {known}"
        )
    return nearest.counterpart


def _of_net(counterpart: Counterpart, name: str) -> Counterpart:
    """Returns a counterpart if it is the net asked for, among those that differ by their shapes."""
    if counterpart.net != name:
        raise WeightsError(_other_net(counterpart, name))
    return counterpart


def _other_net(counterpart: Counterpart, asked: str) -> str:
    return (
        f"its keys and shapes are those of {counterpart.torch_name}, not of a counterpart of '{asked}'; give"
        f" --to {counterpart.label}, or leave --to out"
    )


def _rendered(plan: _Plan, render: Request, out_dir: Path, *, force: bool) -> Rendered:
    """Returns the net's files as texts; a dataset must not make it another net."""
    rendered = render_net(render, is_dry_run=True).rendered
    _check_required(plan.counterpart, rendered.resolution)
    if not force:
        check_free(out_dir, rendered.texts)
    return rendered


def _told(counterpart: Counterpart, shapes: Shapes) -> dict[str, str]:
    """Returns the variables that a file decides, whatever a dataset would."""
    classes = rows_of(shapes, counterpart.classes_key)
    told = {**counterpart.variables, "net.channels": "3"}
    return {**told, "net.classes": str(classes)} if classes else told


def _check_given(
    given: Mapping[str, str],
    told: Mapping[str, str],
    counterpart: Counterpart,
    declared: Mapping[str, Variable],
) -> None:
    """Refuses what the user sets, but the file decides."""
    clash = [name for name in _MEAN_VARIABLES if name in given]
    if clash:
        raise UsageError(
            f"--set {clash[0]}: what is subtracted follows from how the net was trained; give that with"
            " --rgb-mean and --rgb-std, if it was not torchvision's"
        )
    for name, text in given.items():
        if name in told and declared[name].parse(text) != declared[name].parse(told[name]):
            advice = (
                f" ('{counterpart.classes_key}'); to train other classes, import these and finetune from them"
                if name == "net.classes"
                else ""
            )
            raise TemplateError(f"--set {name}={text}: the file says {told[name]}; leave it out{advice}")


def _check_required(counterpart: Counterpart, resolution: Resolution) -> None:
    """Refuses values of variables with which the net would compute something else."""
    declared = {variable.name: variable for variable in resolution.net.variables}
    for name, texts in counterpart.required.items():
        if resolution[name] not in [declared[name].parse(text) for text in texts]:
            raise TemplateError(
                f"{name} is {_text(resolution[name], declared[name])} ({resolution.origins[name]}), and"
                f" {counterpart.torch_name} computes what the net does with {' or '.join(texts)}: give --to"
                f" {counterpart.label}, or --set {name}={texts[0]}"
            )


def _imported(plan: _Plan, tensors: Mapping[str, NDArray[Any]], normalisation: Normalisation) -> Imported:
    facts = {layer.name: layer for layer in plan.opened.shapes().layers}
    found = misfits(plan.counterpart, shapes_of(tensors), facts)
    if found:
        raise refuse(plan.counterpart, found)
    scale = plan.resolution["data.scale"]
    target = Target(facts=facts, norms=norms_of(plan.opened.graph), scale=scale)
    return convert(plan.counterpart, tensors, target, normalisation)


def _renamed(tensors: Mapping[str, NDArray[Any]], renames: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Returns tensors under the keys that the user gave them.

    Raises:
        UsageError: No key begins so, or two keys become one.
    """
    renamed = dict(tensors)
    for old, new in renames.items():
        moved = dict(_moved(renamed, old, new))
        if not moved:
            raise UsageError(f"--map {old}={new}: no key is '{old}' or begins with '{old}.'")
        clash = next((key for key in moved.values() if key in renamed and key not in moved), None)
        if clash is not None:
            raise UsageError(f"--map {old}={new}: there is a key '{clash}' already")
        renamed = {moved.get(key, key): array for key, array in renamed.items()}
    return renamed


def _moved(keys: Mapping[str, object], old: str, new: str) -> Iterator[tuple[str, str]]:
    for key in keys:
        if key == old or key.startswith(f"{old}."):
            yield key, new + key.removeprefix(old)


def _text(value: object, variable: Variable) -> str:
    """Returns a value as a user would write it."""
    between = "x" if variable.type == "size" else ","
    return between.join(map(str, value)) if isinstance(value, tuple) else str(value)

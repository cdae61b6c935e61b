"""What is fine-tuned: a net of the catalogue, or a prototxt of the user's, in the same form for both.

A prototxt becomes a `Net` as the catalogue has them: its data layer is the recipe's part on data. So the
rules of `render` (sources, crop, mean, batches, solver) hold for it without being written twice, and so
does `--set`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from caffeflow.errors import NetError, TemplateError, UsageError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.stages import Entry, body_of, deploy_body_of, find_entry, with_data
from caffeflow.proto.text import located, parse, read_net
from caffeflow.render.catalog import Net, RecipeDataset, find_net, shared_variables
from caffeflow.render.dataset import Dataset
from caffeflow.render.render import render_stage
from caffeflow.render.resolve import Resolution
from caffeflow.render.tasks import task_named
from caffeflow.render.variables import AUTO
from caffeflow.workflows.finetune_prototxt import data_layer, facts_of, found_path, notes_of, with_own_paths

STAGES: Final = ("train_val", "deploy")
TUTORIAL: Final = (
    "BVLC/caffe:examples/finetune_flickr_style/readme.md: 0.001, a tenth after 10,000 iterations"
)
# The tutorial's solver.
_SOLVER: Final[Mapping[str, Any]] = {
    "type": "SGD", "base_lr": 0.001, "lr_policy": "step", "gamma": 0.1, "stepsize": 10000, "max_iter": 50000,
    "momentum": 0.9, "weight_decay": 0.0005, "display": 20, "snapshot": 5000, "test_interval": 1000,
    "iter_size": 1, "average_loss": 1, "power": AUTO, "stepvalue": AUTO, "clip_gradients": -1.0,
}  # fmt: skip
_FLICKR: Final = ("flickr_style", 64_000, 5_000)  # the tutorial's images, and those of its 100 test batches
# What would change the shape of published weights stays as published.
_SHAPES_WEIGHTS: Final = ("net.conv1_kernel",)
_DETECTING: Final = ("PriorBox", "MultiBoxLoss", "DetectionOutput", "AnnotatedData")
_DATA_LAYERS: Final = "data_layers.prototxt.j2"
_COLOUR: Final = 3


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is fine-tuned.

    Attributes:
        net: As the catalogue has nets, with the tutorial's solver for its recipe.
        path: The user's prototxt; None for a net of the catalogue.
        body: The user's net without what brings its images; None for a net of the catalogue.
        entry: Where the user's images come in; None likewise.
        mean_file: The mean image that the user's net subtracts, or an empty text.
        notes: What the user should be told of how the prototxt was read.
    """

    net: Net
    path: Path | None = None
    body: NetParameter | None = None
    entry: Entry | None = None
    mean_file: str = ""
    notes: tuple[str, ...] = ()

    def stage(self, stage: str, resolution: Resolution, command: str) -> NetParameter:
        """Returns the net in one of its stages, its data layers as the resolution says."""
        template = self.net.template if self.body is None else _DATA_LAYERS
        text = render_stage(template, stage, resolution, command=command)
        rendered = parse(text, NetParameter(), source=f"{self.net.name} {stage}.prototxt")
        if self.body is None or self.entry is None:
            return rendered
        body = self.body if stage == "train_val" else deploy_body_of(self.body, self.entry)
        return with_data(body, self.entry, rendered.layer)


def open_origin(asked: str, variant: str | None = None) -> Origin:
    """Returns what a user names: a net of the catalogue, or a prototxt.

    Raises:
        TemplateError: There is no such net.
        UsageError: A folder, or a net that detects.
        NetError: The prototxt is not a net to be fine-tuned.
    """
    path = _path_of(asked)
    if path.is_file() or path.suffix == ".prototxt" or "/" in asked:
        if variant is not None:
            raise UsageError(f"--variant is for nets of the catalogue; '{asked}' is a file")
        return _open_prototxt(path)
    name, _, behind = asked.partition(":")
    try:
        net = find_net(name, variant or behind or None)
    except TemplateError as error:
        also = f"; and there is no file '{asked}'" if behind == "" and variant is None else ""
        raise TemplateError(f"{error}{also}") from error
    if net.task.name == "detection":
        raise UsageError(_no_detection(net.name))
    return Origin(net=_tuned(net))


def with_stand_in(origin: Origin, *, name: str, classes: int) -> Origin:
    """Returns the same with a dataset that is yet to be made for its recipe's."""
    net = origin.net
    images, size = net.dataset, ""
    if images.height:
        size = f" --resize {images.height}x{images.width}"
    dataset = replace(
        images,
        name=name,
        prepare=f"caffeflow prepare folder IMAGES --name {name} --val-fraction 0.1{size}",
        classes=classes,
        class_names=(),
        train=_FLICKR[1],
        val=_FLICKR[2],
    )
    return replace(origin, net=replace(net, dataset=dataset))


def fitted(origin: Origin, dataset: Dataset, assignments: Mapping[str, str]) -> Origin:
    """Returns the same, with what a prototxt's data layer leaves to the dataset, or says for lists only.

    Raises:
        UsageError: Nothing says how large the input is.
    """
    changed: dict[str, Any] = {}
    if origin.path is None:
        return origin
    defaults = {each.name: each.default for each in origin.net.variables}
    if dataset.backend != "imagedata":
        changed["data.resize"] = AUTO  # an LMDB is resized when it is prepared
    if defaults["net.input_size"] == AUTO and not {"net.input_size", "input_size"} & set(assignments):
        if dataset.size is None:
            raise UsageError(
                f"{origin.path}: has no crop_size, and no dataset says how large its images are; give"
                " --input-size HxW, or --data"
            )
        changed["net.input_size"] = dataset.size
    variables = tuple(
        replace(each, default=changed.get(each.name, each.default)) for each in origin.net.variables
    )
    return replace(origin, net=replace(origin.net, variables=variables))


def _tuned(net: Net) -> Net:
    """Returns the net with the tutorial's solver in place of its recipe's."""
    solver = {f"solver.{name}": value for name, value in _SOLVER.items()}
    return replace(
        net,
        variables=tuple(
            replace(each, default=solver[each.name]) if each.name in solver else each
            for each in net.variables
        ),
        sources={**net.sources, **dict.fromkeys(solver, TUTORIAL)},
        recipe=TUTORIAL,
        expected=None,
        other_recipes=(),
        small_input={
            name: value
            for name, value in net.small_input.items()
            if not name.startswith("solver.") and name not in _SHAPES_WEIGHTS
        },
    )


def _path_of(asked: str) -> Path:
    """Returns a path as it is, or a net in the folder that it names.

    Raises:
        UsageError: The folder holds none, and its name is no net's.
    """
    folder = Path(asked)
    if not folder.is_dir():
        return folder
    for stage in STAGES:
        if (folder / f"{stage}.prototxt").is_file():
            return folder / f"{stage}.prototxt"
    if "/" in asked:
        raise UsageError(
            f"{folder}: holds neither train_val.prototxt nor deploy.prototxt; name the file itself"
        )
    return folder


def _no_detection(name: str) -> str:
    return (
        f"'{name}' detects objects, and finetune renews a classifier; for a detector of your own render the"
        " net with --data and begin with 'caffeflow weights backbone'"
    )


def _open_prototxt(path: Path) -> Origin:
    net_file = read_net(path)
    net = net_file.net
    with located(net_file):
        if any(layer.type in _DETECTING for layer in net.layer):
            raise NetError(_no_detection(path.name))
        entry = find_entry(net)
        body = body_of(net, entry)
        layers = {phase: data_layer(entry, phase) for phase in ("TRAIN", "TEST")}
    facts = facts_of(layers["TRAIN"], layers["TEST"], entry)
    made = Net(
        name=_name_of(path),
        aliases=(),
        title=f"The net of {path}" + (f", '{net.name}'" if net.name else ""),
        task=task_named("classification"),
        template=_DATA_LAYERS,
        variant="",
        variants={},
        published=None,
        recipe=TUTORIAL,
        expected=None,
        dataset=_recipe_dataset(facts),
        variables=tuple(
            replace(each, default=facts.get(each.name, each.default)) for each in shared_variables()
        ),
        sources=dict.fromkeys(facts, str(path)),
        refused=(),
        remarks=(),
        other_recipes=(),
        small_input={},
        small_input_side=0,
        backbone=None,
    )
    return Origin(
        net=_tuned(made),
        path=path,
        body=with_own_paths(body, path),
        entry=entry,
        mean_file=found_path(layers["TRAIN"].transform_param.mean_file, path),
        notes=tuple(notes_of(path, layers["TRAIN"], entry)),
    )


def _name_of(path: Path) -> str:
    return path.stem if path.stem not in STAGES else path.resolve().parent.name


def _recipe_dataset(facts: Mapping[str, Any]) -> RecipeDataset:
    name, train, val = _FLICKR
    height, width = facts.get("data.resize") or facts.get("net.input_size") or (0, 0)
    return RecipeDataset(
        name=name, prepare="caffeflow prepare folder IMAGES", channels=facts.get("net.channels", _COLOUR),
        height=height, width=width, classes=2, train=train, val=val,
    )  # fmt: skip

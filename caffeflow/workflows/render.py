"""Renders a net: dataset and variables to prototxts, checked and then written all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.manifest import Manifest, Split, find_datasets, read_manifest
from caffeflow.errors import DataError, NetError, UsageError
from caffeflow.render.catalog import Net, find_net
from caffeflow.render.check import Figures, check
from caffeflow.render.dataset import Dataset, stand_in
from caffeflow.render.recipe import find_net_by_recipe
from caffeflow.render.render import Rendered, render_files, resolve
from caffeflow.render.resolve import Places, Resolution
from caffeflow.render.rules_data import record_size
from caffeflow.render.writing import check_free, write_files

DATA_DIR: Final = Path("data")
MODELS_DIR: Final = Path("models")
_NVIDIA_DRIVER: Final = Path("/dev/nvidiactl")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be rendered.

    Attributes:
        net: A net's name or alias.
        variant: One of its variants, or None for its first.
        data_dir: A dataset folder, or None for the only one under `data/`.
        recipe: A recipe's name or file, or None for the net's own.
        assignments: Variable name to text, as given by options and `--set`.
        out_dir: Folder to write, or None for `models/NET`.
        is_relative: Whether paths are written relative to the working folder.
        command: The command line, for the comments.
    """

    net: str
    variant: str | None = None
    data_dir: Path | None = None
    recipe: str | None = None
    assignments: Mapping[str, str]
    out_dir: Path | None = None
    is_relative: bool = False
    command: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was rendered.

    Attributes:
        rendered: The texts and the values they were made of.
        figures: What the net costs.
        out_dir: The folder.
        paths: The files written; empty for a dry run.
    """

    rendered: Rendered
    figures: Figures
    out_dir: Path
    paths: list[Path]

    @property
    def new_layers(self) -> list[str]:
        """The layers that the published weights have nothing for; none, if there are no published weights."""
        published = self.resolution.net.published
        return [name for name in self.figures.learned if name not in published.layers] if published else []

    @property
    def resolution(self) -> Resolution:
        """The values of all variables."""
        return self.rendered.resolution


def render_net(request: Request, *, is_dry_run: bool = False, force: bool = False) -> Report:
    """Renders a net's files, checks them, and writes them.

    Raises:
        TemplateError: An unknown net or variable, or values that do not fit.
        NetError: The rendered net is one that Caffe would refuse.
        DataError: The dataset cannot be read.
        UsageError: Files would be replaced, and `force` is not set.
    """
    resolution = resolve_net(request)
    out_dir = resolution.places.out_dir
    rendered = render_files(resolution, command=request.command)
    if not (is_dry_run or force):
        check_free(out_dir, rendered.texts)
    try:
        figures = check(rendered.texts, out_dir=out_dir, record_shape=record_shape_of(resolution))
    except NetError as error:
        height, width = resolution["net.input_size"]
        error.what += f" (rendered for an input of {height}x{width}; nothing is written)"
        raise
    paths = [] if is_dry_run else write_files(out_dir, rendered.texts)
    return Report(rendered=rendered, figures=figures, out_dir=out_dir, paths=paths)


def resolve_net(request: Request) -> Resolution:
    """Returns the value of every variable of a net, without rendering it.

    Raises:
        TemplateError: An unknown net or variable, or values that do not fit.
        DataError: The dataset cannot be read.
        UsageError: There are several datasets and none is named.
    """
    if request.recipe is None:
        return resolve_for(find_net(request.net, request.variant), request)
    return resolve_for(find_net_by_recipe(request.net, request.variant, request.recipe), request)


def resolve_for(net: Net, request: Request) -> Resolution:
    """Returns the value of every variable of a net that is at hand, whatever the request calls it.

    Raises:
        TemplateError: An unknown variable, or values that do not fit.
        DataError: The dataset cannot be read.
        UsageError: There are several datasets and none is named.
    """
    places = Places(
        out_dir=request.out_dir or MODELS_DIR / net.name,
        working_dir=Path.cwd(),
        is_relative=request.is_relative,
        has_gpu=_NVIDIA_DRIVER.exists(),
    )
    dataset = find_dataset(net, request.data_dir)
    resolution = resolve(net, dataset, places, request.assignments)
    if dataset.is_missing:
        resolution.notes.append(
            f"no dataset is given and there is none under {DATA_DIR}/: the sources are named as"
            f" '{net.dataset.prepare}' would make them; or give --data, or --set data.train_source=…"
        )
    return resolution


def find_dataset(net: Net, data_dir: Path | None) -> Dataset:
    """Returns the dataset of a folder, or the only one under `data/`, or what the recipe was made for.

    Raises:
        DataError: The dataset cannot be read.
        UsageError: There are several datasets and none is named.
    """
    if data_dir is not None:
        return dataset_facts(data_dir)
    found = find_datasets(DATA_DIR)
    if len(found) > 1:
        fitting = [path for path in found if read_manifest(path).task == net.task.name]
        of_recipe = [path for path in fitting if net.applied and read_manifest(path).name == net.dataset.name]
        found = of_recipe or fitting or found
    if len(found) > 1:
        names = ", ".join(str(path) for path in found)
        raise UsageError(f"there are {len(found)} datasets: {names}; choose one with --data")
    return dataset_facts(found[0]) if found else stand_in(net, DATA_DIR)


def dataset_facts(folder: Path) -> Dataset:
    """Returns what a net needs to know of a dataset folder.

    Raises:
        DataError: It is no finished dataset, or has no images to train or test on.
    """
    manifest = read_manifest(folder)
    train, val = (_split(manifest, name, folder) for name in ("train", "val"))
    return Dataset(
        name=manifest.name,
        folder=folder,
        backend=manifest.backend,
        is_encoded=manifest.encode != "raw",
        channels=manifest.channels,
        height=manifest.height,
        width=manifest.width,
        classes=manifest.classes,
        train_count=train.count,
        val_count=val.count,
        train_path=folder / train.path,
        val_path=folder / val.path,
        train_root=folder / train.root if train.root is not None else None,
        val_root=folder / val.root if val.root is not None else None,
        mean_file=folder / manifest.mean.path if manifest.mean else None,
        mean_values=manifest.mean.channels if manifest.mean else None,
        task=manifest.task,
        class_names=manifest.class_names,
        label_map=folder / manifest.label_map if manifest.label_map else None,
        name_size=folder / val.name_size if val.name_size else None,
    )


def _split(manifest: Manifest, name: str, folder: Path) -> Split:
    split = manifest.splits.get(name)
    if split is None or split.count == 0:
        raise DataError(
            f"{folder}: the dataset has no images in split '{name}', and a solver needs both train and val;"
            " prepare it again, with --val-fraction if the images come in one folder"
        )
    return split


def record_shape_of(resolution: Resolution) -> tuple[int, int, int]:
    """Returns (C, H, W) of the records that the net is looked at with."""
    # Images that differ in size are cropped to the input; if one is too small, only the data can tell.
    return resolution["net.channels"], *record_size(resolution)

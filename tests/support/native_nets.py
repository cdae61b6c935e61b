"""What the native tests train: datasets that our `prepare` makes and nets that our `render` writes."""

from __future__ import annotations

from pathlib import Path

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.folder import FolderSettings, list_jobs
from caffeflow.workflows.render import Request, render_net
from tests.support.native_pictures import write_digits, write_textures


def make_digits(folder: Path) -> Path:
    """Makes the dataset of scikit-learn's digits, 28x28 and gray; returns its folder."""
    write_digits(folder / "pictures")
    return _build(folder, BuildSettings(gray=True))


def make_textures(folder: Path, *, side: int, per_class: int) -> Path:
    """Makes a dataset of colour textures of ten classes, as hard to tell apart as photos at first."""
    write_textures(folder / "pictures", classes=10, per_class=per_class, sizes=[(side, side)], confusion=0.4)
    return _build(folder, BuildSettings())


def render(net: str, *, data: Path, out: Path, **assignments: str) -> Path:
    """Renders a net without mirror and crop, for the CPU, and returns its folder.

    Args:
        net: A net of the catalogue.
        data: A dataset folder.
        out: The folder to write.
        assignments: More variables, with `__` for the dot: `data__batch_size="8"`.
    """
    plain = {"data.mirror": "false", "solver.mode": "CPU"}
    given = {name.replace("__", "."): value for name, value in assignments.items()}
    request = Request(
        net=net, data_dir=data, assignments=plain | given, out_dir=out, command=f"caffeflow render {net}"
    )
    return render_net(request, force=True).out_dir


def _build(folder: Path, settings: BuildSettings) -> Path:
    listing = list_jobs(FolderSettings(root=folder / "pictures", val_fraction=0.2))
    build(listing, settings, folder / "dataset", source="folder")
    return folder / "dataset"

"""What the native tests train: datasets that our `prepare` makes and nets that our `render` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.folder import FolderSettings, list_jobs
from caffeflow.workflows.render import Request, render_net
from tests.support.native_pictures import write_digits, write_textures

SMOOTH_NET: Final = """name: "smooth"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{dataset}/train_lmdb" batch_size: 64 backend: LMDB }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{dataset}/val_lmdb" batch_size: 50 backend: LMDB }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{ num_output: 20 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "tanh1" type: "TanH" bottom: "conv1" top: "conv1" }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: AVE kernel_size: 3 stride: 2 }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{ num_output: 30 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "tanh2" type: "TanH" bottom: "conv2" top: "conv2" }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: AVE kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{ num_output: 100 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "tanh3" type: "TanH" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""
"""A net for digits without decisions: TanH, average pooling, no BatchNorm. Wants `dataset`."""


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

"""Rules for the variables of the group `net`: what the dataset decides about the net."""

from __future__ import annotations

from dataclasses import replace

from caffeflow.errors import TemplateError
from caffeflow.render.resolve import Resolution, overlay_small_input


def complete_net(resolution: Resolution) -> None:
    """Works out classes, channels, input size and what hangs on them.

    Raises:
        TemplateError: Values that exclude one another.
    """
    check_task(resolution)
    dataset = resolution.dataset
    origin = origin_of(resolution)
    resolution.fill("net.classes", dataset.classes, origin)
    _check_classes(resolution)
    resolution.fill("net.channels", dataset.channels or 3, origin)
    _fit_input_size(resolution)
    overlay_small_input(resolution)
    _decide_top5(resolution)
    check_refused(resolution)


def check_task(resolution: Resolution) -> None:
    """Refuses a dataset that was made for another kind of net.

    Raises:
        TemplateError: It has boxes and the net classifies, or the other way round.
    """
    net, dataset = resolution.net, resolution.dataset
    if dataset.task == net.task.name:
        return
    if net.task.name == "detection":
        raise TemplateError(
            f"{net.name} detects objects, but dataset '{dataset.name}' has no boxes, only a class for each"
            " image; give --data a dataset that caffeflow prepare voc, coco or kitti made"
        )
    raise TemplateError(
        f"{net.name} classifies images, but dataset '{dataset.name}' has boxes; give --data another dataset,"
        " or render a net that detects, such as ssdlite-voc"
    )


def origin_of(resolution: Resolution) -> str:
    """Returns what is said of values that the dataset decides."""
    dataset = resolution.dataset
    return f"the recipe's dataset, {dataset.name}" if dataset.is_missing else f"dataset {dataset.name}"


def _check_classes(resolution: Resolution) -> None:
    dataset, classes = resolution.dataset, resolution["net.classes"]
    if not dataset.is_missing and classes < dataset.classes:
        raise TemplateError(
            f"net.classes is {classes}, but dataset '{dataset.name}' has {dataset.classes} classes,"
            f" labels 0 to {dataset.classes - 1}; give --classes {dataset.classes} or more"
        )


def _fit_input_size(resolution: Resolution) -> None:
    stored, wanted = resolution.dataset.size, resolution["net.input_size"]
    if resolution.dataset.is_missing:
        _fit_missing_dataset(resolution)
    if stored is None or "net.input_size" in resolution.given:
        return
    if stored[0] < wanted[0] or stored[1] < wanted[1]:
        name = resolution.dataset.name
        resolution.put("net.input_size", stored, f"dataset {name}")
        resolution.notes.append(
            f"the images of '{name}' are {_by(stored)}, smaller than the recipe's input of {_by(wanted)}:"
            f" the net takes {_by(stored)}"
        )


def _fit_missing_dataset(resolution: Resolution) -> None:
    """Takes images that nobody has made yet to be of the input's size, where the recipe's would not do."""
    dataset, (height, width) = resolution.dataset, resolution["net.input_size"]
    stored = dataset.size or (height, width)
    if height == width and height <= min(stored):
        return
    resolution.dataset = replace(dataset, height=height, width=width)
    resolution.notes.append(
        f"an input of {_by((height, width))} is taken to be the images' own size: prepare them with"
        f" --resize {_by((height, width))}"
    )


def _decide_top5(resolution: Resolution) -> None:
    classes = resolution["net.classes"]
    if not resolution["net.top5"] or classes > 5:
        return
    if "net.top5" in resolution.given:
        raise TemplateError(f"net.top5 needs more than five classes; net.classes is {classes}")
    resolution.put("net.top5", False, f"{classes} classes")


def check_refused(resolution: Resolution) -> None:
    """Refuses the combinations that the net's description refuses, and notes those that it remarks on.

    Raises:
        TemplateError: One is refused.
    """
    for refusal in resolution.net.refused:
        if refusal.holds(resolution.values):
            values = " with ".join(f"{name} = {resolution[name]}" for name in refusal.when)
            raise TemplateError(f"{values}: {refusal.because}")
    resolution.notes += [
        remark.because for remark in resolution.net.remarks if remark.holds(resolution.values)
    ]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

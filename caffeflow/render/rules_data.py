"""Rules for the variables of the group `data`: sources, crop, mean, scale and batches."""

from __future__ import annotations

from pathlib import Path

from caffeflow.errors import TemplateError
from caffeflow.render.resolve import Resolution
from caffeflow.render.variables import AUTO

_MEAN_KINDS = ("file", "values", "none")


def complete_data(resolution: Resolution) -> None:
    """Works out what the data layers say.

    Raises:
        TemplateError: Values that exclude one another or do not fit the dataset.
    """
    _decide_backend(resolution)
    _name_sources(resolution)
    _decide_color(resolution)
    _decide_crop(resolution)
    _read_mean(resolution)
    _decide_mean(resolution)
    _check_per_channel(resolution, "data.scale")
    _fit_test_batch(resolution)


def stored_size(resolution: Resolution) -> tuple[int, int] | None:
    """Returns height and width of the images before they are cropped; None if they differ."""
    resized: tuple[int, int] = resolution["data.resize"]
    return resized if resized[0] > 0 else resolution.dataset.size


def record_size(resolution: Resolution) -> tuple[int, int]:
    """Returns height and width of the records that the net is looked at with."""
    size: tuple[int, int] = resolution["net.input_size"]
    is_classifier = resolution.net.task.name == "classification"
    return (stored_size(resolution) if is_classifier else None) or size


def _decide_backend(resolution: Resolution) -> None:
    dataset = resolution.dataset
    resolution.fill("data.backend", dataset.backend or "lmdb", f"dataset {dataset.name}")
    wanted = resolution["data.backend"]
    if dataset.backend not in (None, wanted):
        raise TemplateError(
            f"--backend {wanted}: dataset '{dataset.name}' is of backend {dataset.backend};"
            f" leave --backend out, or prepare it again with --backend {wanted}"
        )


def _name_sources(resolution: Resolution) -> None:
    dataset, written = resolution.dataset, resolution.places.written
    is_list = resolution["data.backend"] == "imagedata"
    origin = f"dataset {dataset.name}"
    sides = (
        ("train", "train", dataset.train_path, dataset.train_root),
        ("test", "val", dataset.val_path, dataset.val_root),
    )
    for variable, split, path, root in sides:
        usual = dataset.folder / (f"{split}.txt" if is_list else f"{split}_lmdb")
        resolution.fill(f"data.{variable}_source", written(path or usual), origin)
        # Caffe: root_folder and path are joined as they are, so the slash belongs to the root.
        folder = written(root or dataset.folder / split) + "/"
        resolution.fill(f"data.{variable}_root", folder if is_list else "", origin)


def _decide_color(resolution: Resolution) -> None:
    dataset, channels = resolution.dataset, resolution["net.channels"]
    forced = "gray" if channels == 1 else "color"
    if resolution["data.backend"] == "imagedata" or dataset.channels != channels:
        resolution.fill("data.color", forced, f"net.channels is {channels}")
    resolution.fill("data.color", "as-is", f"dataset {dataset.name}")
    if (
        resolution["data.backend"] == "lmdb"
        and resolution["data.color"] != "as-is"
        and not dataset.is_encoded
    ):
        raise TemplateError(
            f"the net takes {channels} channels, but dataset '{dataset.name}' has raw records of"
            f" {dataset.channels}, which Caffe cannot convert; set net.channels={dataset.channels},"
            " or prepare the images with that many channels"
        )


def _decide_crop(resolution: Resolution) -> None:
    size, dataset = resolution["net.input_size"], resolution.dataset
    is_list = resolution["data.backend"] == "imagedata"
    usual = tuple(round(side * 256 / 224) for side in size) if is_list and dataset.size is None else (0, 0)
    resolution.fill("data.resize", usual, "256 for a 224 input, in proportion")
    if resolution["data.resize"][0] > 0 and not is_list:
        raise TemplateError(
            "data.resize works for backend imagedata only; an LMDB is resized when it is prepared"
        )
    stored = stored_size(resolution)
    if stored is not None and (stored[0] < size[0] or stored[1] < size[1]):
        raise TemplateError(
            f"the input of {size[0]}x{size[1]} is larger than the images of '{dataset.name}',"
            f" {stored[0]}x{stored[1]}; give --input-size {min(stored)}, or prepare larger images"
        )
    crop = 0 if stored == size else size[0]
    if crop and size[0] != size[1]:
        raise TemplateError(
            f"Caffe crops squares only: an input of {size[0]}x{size[1]} needs images of exactly that size;"
            f" prepare them with --resize {size[0]}x{size[1]}"
        )
    resolution.fill("data.crop_size", crop, "input_size")
    if resolution["data.crop_size"] != crop:
        raise TemplateError(
            f"data.crop_size is {resolution['data.crop_size']}, but an input of {size[0]}x{size[1]} needs"
            f" {crop}; set net.input_size instead"
        )


def _read_mean(resolution: Resolution) -> None:
    """Turns `--mean 104,117,123` into values, and a mean that was set directly into its kind."""
    for kind, name in (("file", "data.mean_file"), ("values", "data.mean_values")):
        if name in resolution.given and "data.mean" not in resolution.given:
            resolution.put("data.mean", kind, f"{name} is given")
    mean = resolution["data.mean"]
    if mean in _MEAN_KINDS:
        return
    try:
        values = tuple(float(part) for part in mean.split(","))
    except ValueError:
        expected = f"{', '.join(_MEAN_KINDS)}, or numbers such as 104,117,123"
        raise TemplateError(f"data.mean: '{mean}' is not one of {expected}") from None
    resolution.put("data.mean_values", values, "given")
    resolution.put("data.mean", "values", "given")
    resolution.given |= {"data.mean_values"}


def _decide_mean(resolution: Resolution) -> None:
    dataset, channels = resolution.dataset, resolution["net.channels"]
    has_its_channels = dataset.channels == channels
    if resolution["data.mean"] == "file" and resolution["data.mean_file"] == AUTO:
        if dataset.mean_file is not None and has_its_channels:
            resolution.put(
                "data.mean_file", resolution.places.written(dataset.mean_file), f"dataset {dataset.name}"
            )
        elif "data.mean" in resolution.given:
            raise TemplateError(
                f"--mean file: dataset '{dataset.name}' has no mean image of {channels} channels (its images"
                " differ in size or in channels); give --mean values"
            )
        else:
            resolution.put("data.mean", "values", f"dataset {dataset.name} has no mean image")
    if resolution["data.mean"] != "values":
        return
    if dataset.mean_values and has_its_channels and "data.mean_values" not in resolution.given:
        rounded = tuple(round(value, 3) for value in dataset.mean_values)
        resolution.put("data.mean_values", rounded, f"dataset {dataset.name}")
    _check_per_channel(resolution, "data.mean_values")


def _check_per_channel(resolution: Resolution, name: str) -> None:
    numbers, channels = resolution[name], resolution["net.channels"]
    if len(numbers) not in (1, channels):
        raise TemplateError(
            f"{name} has {len(numbers)} numbers for {channels} channel{'s' if channels > 1 else ''};"
            f" give one{f' or {channels}' if channels > 1 else ''}"
        )


def _fit_test_batch(resolution: Resolution) -> None:
    """Prefers a batch that divides the test images: Caffe goes on at the beginning in the last batch."""
    name = "data.test_batch_size"
    usual, count = resolution[name], resolution.dataset.val_count
    if name in resolution.given or count < 1 or count % usual == 0:
        return
    divisors = [batch for batch in range(usual, usual // 2, -1) if count % batch == 0]
    if count < usual:
        divisors = [count]
    if divisors:
        resolution.put(name, divisors[0], f"divides the {count} test images")


def source_exists(resolution: Resolution) -> bool:
    """Whether the training source is there."""
    return Path(resolution.places.working_dir / resolution["data.train_source"]).exists()

"""How pictures come to a net that is deployed: read from its data layer and from the dataset behind it.

A data layer says what is done to records; what was done to pictures before, the dataset's manifest says.
Where there is none any more, the mean image's size or `--record` has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.manifest import MANIFEST_NAME, Manifest, read_manifest
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.pictures import PictureTransformer
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.engine.feed.sources import picture_shape
from caffeflow.engine.feed.transformer import Transformer
from caffeflow.errors import NetError, UsageError
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import read_net
from caffeflow.workflows.bundle_preprocess import Floats, Preprocess, ResizeMode
from caffeflow.workflows.deploy_subject import Subject
from caffeflow.workflows.test_data import (
    DataSettings,
    find_image_input,
    find_sibling_layer,
    own_data_layer,
    source_of,
    transform_by_options,
)

_PASSED_ON: Final = ("crop_size", "crop_h", "crop_w", "scale")


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """What the user says about the input.

    Attributes:
        data: A dataset to take records, class names and the pictures' size from, in place of the net's own.
        split: Which split of it.
        record: (C, H, W) of a record, where there is none to look at.
        mean: For a net without a data layer: `none`, values, or a binaryproto.
        scale: For the same.
    """

    data: Path | None = None
    split: str = "val"
    record: Shape | None = None
    mean: str | None = None
    scale: float | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How pictures and records come to a net.

    Attributes:
        layer: The data layer of the TEST phase.
        has_records: Its source is there.
        record: (C, H, W) of a record.
        manifest: Of the dataset that its source belongs to, if it is there.
        dataset: That dataset's folder.
    """

    layer: LayerParameter
    has_records: bool
    record: Shape
    preprocess: Preprocess
    manifest: Manifest | None
    dataset: Path | None

    @property
    def mean_file(self) -> Path | None:
        """The mean image's file."""
        name = self.layer.transform_param.mean_file
        return Path(name) if name else None


def find_entry(
    subject: Subject, first_channels: int | None, settings: InputSettings, note: Callable[[str], None]
) -> Entry:
    """Returns how records come to the net.

    Args:
        subject: What is to be deployed.
        first_channels: How many channels the net's first weights take, if that can be told.
        settings: What the user says.
        note: Gets sentences on what was decided.

    Raises:
        UsageError: --mean or --scale for a net whose data layer says both.
        NetError: The size of the input is not known, or the TEST phase changes pictures at random.
        DataError: A mean file or dataset cannot be read.
    """
    layer = _data_layer(subject, settings, note)
    source = source_of(layer)
    has_records = bool(source.name) and (source.is_file() or (source / "data.mdb").is_file())
    dataset = source.parent if (source.parent / MANIFEST_NAME).is_file() else None
    manifest = read_manifest(dataset) if dataset is not None else None
    transform = _repeatable(layer, note)
    mean_image = _mean_image(layer, transform)
    fixed = _fixed_shape(subject)
    record = settings.record or (picture_shape(layer)[:3] if has_records else None)
    if record is None:
        record = _guessed_record(transform, mean_image, fixed, first_channels)
        shown = "x".join(map(str, record))
        note(
            f"source '{source}' is not here: pictures are taken to be made {shown} before they are cropped;"
            " if that is not so, say with --record CxHxW"
        )
    shape = _shape_at_input(layer, transform, record)
    mode, values = _resize(layer, manifest, record, has_resize_param=transform.resize is not None)
    return Entry(
        layer=layer,
        has_records=has_records,
        record=record,
        preprocess=Preprocess(
            input=layer.top[0],
            size=(shape[1], shape[2]),
            channels=shape[0],
            resize=mode,
            resize_values=values,
            param=_plain_param(layer, drop_mean=mean_image is not None),
            mean_image=mean_image,
        ),
        manifest=manifest,
        dataset=dataset,
    )


def _data_layer(subject: Subject, settings: InputSettings, note: Callable[[str], None]) -> LayerParameter:
    layer = LayerParameter()
    about_data = DataSettings(
        data=settings.data, split=settings.split, mean=settings.mean, scale=settings.scale
    )
    if subject.records is not None:
        layer.CopyFrom(subject.records)
        if settings.data is not None or settings.mean is not None or settings.scale is not None:
            own_data_layer(layer, about_data)
        return layer
    entry = find_image_input(subject.role.net)
    assert entry is not None, "the subject was checked"  # noqa: S101
    sibling, template = find_sibling_layer(subject.path)
    if template is not None:
        layer.CopyFrom(template)
        note(f"pictures are transformed as layer '{template.name}' of {sibling} says")
    else:
        layer.type = "Data"
        layer.top.append(entry.top[0])
        if settings.mean is None and settings.scale is None:
            note(f"{subject.path} says nothing of mean and scale, so none are applied; give --mean, --scale")
    layer.name, layer.top[0] = entry.name, entry.top[0]
    transform_by_options(layer, about_data, entry.input_param.shape[0].dim)
    if settings.data is not None:
        layer.top[:] = [entry.top[0], "label"]
        own_data_layer(layer, DataSettings(data=settings.data, split=settings.split))
    return layer


def _repeatable(layer: LayerParameter, note: Callable[[str], None]) -> TransformSettings:
    """Returns what the layer does to records, after a look at what of it is random."""
    transform = TransformSettings.read(layer)
    if transform.noise is not None:
        raise NetError("has noise_param in its TEST phase, which is random; remove it", layer=layer.name)
    if transform.mirror:
        note(f"layer '{layer.name}' mirrors at random in its TEST phase too; a deployed net's input is not")
    return transform


def _mean_image(layer: LayerParameter, transform: TransformSettings) -> Floats | None:
    """Returns the mean (C, H, W) if it is an image; one of values stays in the layer."""
    mean_image = transform.mean if transform.mean is not None and transform.mean.ndim == 3 else None
    if mean_image is not None and layer.type == "AnnotatedData":
        raise NetError("has a mean image for pictures with boxes; deploy takes mean_value", layer=layer.name)
    return mean_image


def _fixed_shape(subject: Subject) -> Shape | None:
    """Returns (C, H, W) of the Input of the net, or of the deploy file."""
    net = subject.role.net if subject.deploy_file is None else read_net(subject.deploy_file).net
    entry = find_image_input(net)
    return tuple(entry.input_param.shape[0].dim[1:]) if entry is not None else None


def _guessed_record(
    transform: TransformSettings, mean_image: Floats | None, fixed: Shape | None, channels: int | None
) -> Shape:
    if mean_image is not None:
        return tuple(mean_image.shape)
    if fixed is not None:
        return fixed
    size = (transform.resize.rule.height, transform.resize.rule.width) if transform.resize else transform.crop
    if size is None or channels is None:
        raise NetError(
            "its records are not here, so the size of its input is not known; give --record CxHxW, or the"
            " dataset with --data"
        )
    return (channels, *size)


def _shape_at_input(layer: LayerParameter, transform: TransformSettings, record: Shape) -> Shape:
    kind = PictureTransformer if layer.type == "AnnotatedData" or transform.is_forks else Transformer
    made = kind(transform, phase="TEST", draws=Draws(0, layer.name), layer=layer.name)
    return made.output_shape(record, "a record")


def _resize(
    layer: LayerParameter, manifest: Manifest | None, record: Shape, *, has_resize_param: bool
) -> tuple[ResizeMode, dict[str, int]]:
    """Returns what makes a record of a picture."""
    listed = layer.image_data_param
    if layer.type == "ImageData" and listed.new_height:
        return "squash", {"height": listed.new_height, "width": listed.new_width}
    settings = manifest.settings if manifest is not None else {}
    if settings.get("resize"):
        return "squash", _sides(settings["resize"])
    if settings.get("short_side"):
        return "short_side", {"size": settings["short_side"]}
    if settings.get("min_dim") or settings.get("max_dim"):
        return "min_max", {name: settings[name] for name in ("min_dim", "max_dim") if settings.get(name)}
    is_of_one_size = manifest is None or manifest.height is not None
    return ("squash", _sides(record[1:])) if is_of_one_size and not has_resize_param else ("none", {})


def _sides(size: Sequence[int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}


def _plain_param(layer: LayerParameter, *, drop_mean: bool) -> LayerParameter:
    """Returns a layer with what of the transformation is not random, and no files."""
    made = LayerParameter(name=layer.name, type="Data", top=[layer.top[0]])
    given, kept = layer.transform_param, made.transform_param
    for name in _PASSED_ON:
        if given.HasField(name):
            setattr(kept, name, getattr(given, name))
    if given.HasField("resize_param"):
        kept.resize_param.CopyFrom(given.resize_param)
        kept.resize_param.ClearField("prob")  # it has no effect, in Caffe neither
    if not drop_mean:
        kept.mean_value.extend(given.mean_value)
    return made


def check_size(entry: Entry, expected: Shape, path: Path) -> None:
    """Compares the size at the input with that of a deploy net.

    Raises:
        UsageError: They differ.
    """
    if entry.preprocess.shape != expected:
        found = "x".join(map(str, entry.preprocess.shape))
        raise UsageError(
            f"records come to the net as {found}, but the Input of {path} takes"
            f" {'x'.join(map(str, expected))}; correct the deploy net, or say with --record what records are"
        )

"""The zoo: weights that others have published, what is known of each file, and where people get it.

The table is `zoo.toml` beside this file. The one rule to know: it holds published facts, each with its
source; a checksum that nobody published is left out, and such a file is compared with its net instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from caffeflow import resources
from caffeflow.errors import WeightsError, suggestion

_ALGORITHMS: Final = ("sha1", "sha256", "sha384")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a published model expects of its input, for pixels from 0 to 255.

    Attributes:
        source: Who says so.
        height: Rows of the input.
        width: Columns of the input.
        colours: The order of the channels.
        mean: Subtracted from each channel, in that order; empty if only a mean image is published.
        scale: What the difference is multiplied with.
        resize: How a picture gets to the size that is cropped.
        mean_image: The mean image that it was trained with, where one was used.
    """

    source: str
    height: int
    width: int
    colours: str
    mean: tuple[float, ...]
    scale: float
    resize: str
    mean_image: str = ""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A published result in percent: on which data, and who says so."""

    data: str
    source: str
    top1: float | None = None
    top5: float | None = None
    mean_ap: float | None = None

    def __str__(self) -> str:
        if self.mean_ap is not None:
            return f"mAP {self.mean_ap:.1f}"
        return " / ".join(f"{share:.1f}" for share in (self.top1, self.top5) if share is not None)


@dataclass(frozen=True, kw_only=True)
class ZooModel:
    """A published caffemodel.

    Attributes:
        name: What users call it.
        title: A few words on what it is.
        file: The file's published name.
        addresses: Where it is, in the order to try.
        source: Where the addresses are published.
        licence: What its publishers allow.
        net: The net of `caffeflow render` that it fits, as `name` or `name:variant`; empty if there is none.
        settings: Variables of that net that make its deploy stage the published one.
        aliases: Other names that find it.
        size: Bytes; None where nobody publishes them.
        checksums: Algorithm to what is published; empty where nothing is.
        checksums_source: Who publishes them.
        prototxt: Where the published net is, for models that `render` does not make.
        input: What its input must be; None where that is not known.
        accuracy: The published result, if there is one.
    """

    name: str
    title: str
    file: str
    addresses: tuple[str, ...]
    source: str
    licence: str
    net: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    size: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksums_source: str = ""
    prototxt: str = ""
    input: Preprocessing | None = None
    accuracy: Accuracy | None = None

    @property
    def checksum_text(self) -> str:
        """The first published checksum in words, or that there is none."""
        first = next(iter(self.checksums.items()), None)
        return " ".join(first) if first else "checksum unknown"


@cache
def zoo_models() -> tuple[ZooModel, ...]:
    """Returns all models of the table, in its order."""
    with resources.zoo_table().open("rb") as file:
        return tuple(_model(entry) for entry in tomllib.load(file)["model"])


def find_model(text: str) -> ZooModel | None:
    """Returns the model of a name, an alias, a file name, or a net; None if there is none.

    Of a net's models the first of the table is meant. Capitals do not matter.
    """
    wanted = text.casefold()
    for models in (_by_name(), _by_file(), _by_net()):
        if wanted in models:
            return models[wanted]
    return None


def model_named(text: str) -> ZooModel:
    """Returns the model that a user names.

    Raises:
        WeightsError: There is none; it names the nearest.
    """
    model = find_model(text)
    if model is None:
        hint = suggestion(text.casefold(), [*_by_name(), *_by_file()])
        raise WeightsError(f"the zoo has no model '{text}'{hint}; see: caffeflow weights list")
    return model


def _by_name() -> dict[str, ZooModel]:
    return _first((name, model) for model in zoo_models() for name in (model.name, *model.aliases))


def _by_file() -> dict[str, ZooModel]:
    return _first(
        (name, model) for model in zoo_models() for name in (model.file, model.file.rpartition(".")[0])
    )


def _by_net() -> dict[str, ZooModel]:
    models = [model for model in zoo_models() if model.net]
    nets = [(model.net, model) for model in models]
    return _first([*nets, *((net.partition(":")[0], model) for net, model in nets)])


def _first(pairs: Iterable[tuple[str, ZooModel]]) -> dict[str, ZooModel]:
    found: dict[str, ZooModel] = {}
    for name, model in pairs:
        found.setdefault(name.casefold(), model)
    return found


def _model(entry: Mapping[str, Any]) -> ZooModel:
    """Returns an entry of the table as a model; keys that a model has not are a TypeError."""
    fields: dict[str, Any] = dict(entry)
    fields["checksums"] = {name: fields.pop(name) for name in _ALGORITHMS if name in fields}
    for name in ("addresses", "aliases"):
        fields[name] = tuple(fields.get(name, ()))
    if "input" in fields:
        fields["input"] = Preprocessing(**{**fields["input"], "mean": tuple(fields["input"]["mean"])})
    if "accuracy" in fields:
        fields["accuracy"] = Accuracy(**fields["accuracy"])
    return ZooModel(**fields)

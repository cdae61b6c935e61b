"""Weights by name: the file that a user means with a path, a model of the zoo, or a net."""

from __future__ import annotations

from pathlib import Path

from caffeflow.errors import TemplateError, WeightsError, suggestion
from caffeflow.weights.zoo import ZooModel, find_model, model_named, zoo_models
from caffeflow.workflows.zoo_files import VARIABLE, candidates, find_local, places_text, problem_of, zoo_dir

_ENDINGS = (".caffemodel", ".h5", ".npz", ".safetensors", ".pth", ".pt")


def weights_path(text: str) -> Path:
    """Returns the file that a user names: a path, or the published weights of a model or a net.

    Args:
        text: A file; or a name, an alias or a file name of the zoo; or a net (`resnet50`, `resnet50:he`).

    Raises:
        WeightsError: It is none of these, or the file is not on this machine; then it says which file to get,
            from where, and where to put it.
    """
    path = Path(text)
    if path.is_file():
        return path
    model = find_known_model(path.name if path.suffix in _ENDINGS else text)
    if model is None:
        raise _unknown(text)
    if path.name != text:
        raise WeightsError(f"{text}: no such file; as '{model.name}' it is looked for in {places_text()}")
    local = find_local(model)
    if local is None:
        raise missing(model)
    return local


def missing(model: ZooModel) -> WeightsError:
    """Returns the error for a model that is not here: what to get, from where, and where to put it."""
    size = f"  {model.size:,} bytes" if model.size else ""
    sums = [f"{name} {value}" for name, value in model.checksums.items()]
    wrong = [
        f"{path} is not it: {problem_of(path, model)}"
        for path in candidates(model)
        if path.name == model.file and problem_of(path, model)
    ]
    lines = [
        f"the weights of {model.title} are not here: {model.file}{size}",
        *(f"  {line}" for line in sums or ["checksum unknown: its layers are compared with the net instead"]),
        *(f"  {address}" for address in model.addresses),
        *wrong,
        f"Looked in {places_text()}.",
        f"Get it with: caffeflow weights fetch {model.name}",
        f"or by hand: put it into {zoo_dir()}/, or let ${VARIABLE} name its folder.",
    ]
    return WeightsError("\n".join(lines))


def find_known_model(text: str) -> ZooModel | None:
    """Returns the model of a name of the zoo or of a net by any of its names, or None."""
    return find_model(text) or _model_of_net(text)


def known_model(text: str) -> ZooModel:
    """Returns the model of a name of the zoo or of a net by any of its names.

    Raises:
        WeightsError: There is none; it names the nearest.
    """
    return find_known_model(text) or model_named(text)


def _model_of_net(text: str) -> ZooModel | None:
    """Returns the model of a net that has other names in the catalogue of nets."""
    from caffeflow.render.catalog import find_net

    name, _, variant = text.partition(":")
    try:
        net = find_net(name, variant or None)
    except TemplateError:
        return None
    return find_model(f"{net.name}:{net.variant}" if net.variant else net.name)


def _unknown(text: str) -> WeightsError:
    path = Path(text)
    if path.suffix in _ENDINGS or path.name != text:
        return WeightsError(f"{text}: there is no such file")
    hint = suggestion(
        text.casefold(), [name for model in zoo_models() for name in (model.name, *model.aliases)]
    )
    return WeightsError(
        f"'{text}' is neither a file nor published weights that are known{hint}; see: caffeflow weights list"
    )

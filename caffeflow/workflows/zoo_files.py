"""Which files of this machine are models of the zoo: where they are looked for, and that they are whole.

A file counts only if a published checksum agrees, or, where none is published, if its layers fit the net.
That is found out once: what was found is remembered by the file's size and time in the user's cache folder,
and whoever deletes that memory only waits for a second look.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from caffeflow.download import what_differs
from caffeflow.errors import DataError, NetError, UsageError, WeightsError
from caffeflow.files import write_text
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.matching import Shape, match
from caffeflow.stand_ins import stand_in
from caffeflow.weights.zoo import ZooModel

VARIABLE: Final = "CAFFEFLOW_ZOO"
_MODELS: Final = Path("models")
_MEMORY: Final = "looked-at.json"
_HEAD: Final = 8192
_LOG = logging.getLogger(__name__)


def zoo_dir() -> Path:
    """Returns where fetched models go: `$CAFFEFLOW_ZOO`, else the user's cache folder."""
    return _own_dir() or cache_dir()


def cache_dir() -> Path:
    """Returns the zoo's part of the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    # The XDG rules: a relative path in the variable counts as none.
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "caffeflow" / "zoo"


def places_text() -> str:
    """Returns where models are looked for, for messages."""
    own = _own_dir()
    hint = "" if own else f"; ${VARIABLE} is not set"
    return f"{f'{own}/, ' if own else ''}./, {_MODELS}/ and {cache_dir()}/{hint}"


def candidates(model: ZooModel) -> Iterator[Path]:
    """Yields the files that may be a model: by name, and in the zoo's folders by size."""
    seen: set[Path] = set()
    for path in _named_or_sized(model):
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def find_local(model: ZooModel) -> Path | None:
    """Returns the file of a model if it is here and right, or None; a wrong one is warned of."""
    for path in candidates(model):
        problem = problem_of(path, model)
        if not problem:
            return path
        if path.name == model.file:
            _LOG.warning("%s: is passed over: %s", path, problem)
    return None


def problem_of(path: Path, model: ZooModel) -> str:
    """Returns why a file is not the model that is published, or an empty string if it is."""
    known = find_known_problem(path, model)
    if known is not None:
        return known
    problem = _look(path, model)
    _remember(_remembered() | {str(path.resolve()): _facts(path, model) | {"problem": problem}})
    return problem


def find_known_problem(path: Path, model: ZooModel) -> str | None:
    """Returns what `problem_of` does if that is known, or shows at once; None if it needs reading it all."""
    try:
        known = _remembered().get(str(path.resolve()), {})
        facts = _facts(path, model)
        if "problem" in known and {name: known.get(name) for name in facts} == facts:
            return str(known["problem"])
        with path.open("rb") as file:
            truth = stand_in(file.read(_HEAD))
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if truth:
        return f"it is {truth}, not the file itself"
    if model.size not in (None, facts["size"]):
        return f"it has {facts['size']:,} bytes, expected {model.size:,}"
    return None


def _facts(path: Path, model: ZooModel) -> dict[str, Any]:
    """Returns what must be the same for a memory to hold: of the file, and of what was asked of it."""
    status = path.stat()
    return {
        "size": status.st_size, "time": status.st_mtime_ns, "net": model.net, "sums": dict(model.checksums),
    }  # fmt: skip


def _look(path: Path, model: ZooModel) -> str:
    """Reads a file to its end, and returns what is wrong with it."""
    if not model.checksums:
        return _misfit(path, model)
    try:
        differs = what_differs(path, model.checksums)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")
    return f"it has {differs}" if differs else ""


def _misfit(path: Path, model: ZooModel) -> str:
    """Returns how a file's layers differ from those of the model's net, or why it is no caffemodel."""
    try:
        layers = read_caffemodel(path)
        if not model.net:
            return ""
        shapes = net_shapes(model)
        plan = match(layers, shapes)
    except (WeightsError, NetError) as error:
        return str(error).removeprefix(f"{path}: ")
    if plan.new:
        missing = f"{len(plan.new)} of {len(shapes)} layers"
        return f"it has nothing for layer '{plan.new[0]}' of {model.net} ({missing})"
    return ""


def net_shapes(model: ZooModel) -> dict[str, list[Shape]]:
    """Returns the shapes of the learned blobs of a model's net, layer by layer, in the deploy stage."""
    from caffeflow.layers.inference import infer
    from caffeflow.proto.caffe_pb2 import NetParameter
    from caffeflow.proto.graph import build_graph
    from caffeflow.proto.legacy import upgrade_net
    from caffeflow.proto.net import filter_net, net_state
    from caffeflow.proto.text import parse
    from caffeflow.render.render import render_in_memory

    name, _, variant = model.net.partition(":")
    texts = render_in_memory(name, variant=variant or None, assignments=model.settings).texts
    net = parse(texts["deploy.prototxt"], NetParameter(), source=f"{model.net} deploy.prototxt")
    upgrade_net(net)
    facts = infer(build_graph(filter_net(net, net_state("TEST")))).layers
    return {layer.name: [blob.shape for blob in layer.blobs] for layer in facts if layer.blobs}


def _own_dir() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named and Path(named).is_file():
        raise UsageError(f"${VARIABLE} is '{named}', which is a file; expected a folder of caffemodels")
    return Path(named) if named else None


def _named_or_sized(model: ZooModel) -> Iterator[Path]:
    folders = [folder for folder in (_own_dir(), cache_dir()) if folder is not None and folder.is_dir()]
    for folder in folders:
        yield folder / model.file
    yield Path(model.file)
    for folder in [*folders, _MODELS]:
        yield from sorted(folder.rglob(model.file))
    if model.checksums and model.size is not None:  # whatever the user calls it
        for folder in folders:
            files = [path for path in folder.rglob("*.caffemodel") if path.is_file()]
            yield from sorted(path for path in files if path.stat().st_size == model.size)


def _remembered() -> dict[str, dict[str, Any]]:
    try:
        memory = json.loads((cache_dir() / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(memory, dict):
        return {}
    return {path: facts for path, facts in memory.items() if isinstance(facts, dict)}


def _remember(memory: dict[str, dict[str, Any]]) -> None:
    """Writes what was found out; where that cannot be, the next command looks again."""
    here = {path: facts for path, facts in memory.items() if Path(path).exists()}
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        write_text(cache_dir() / _MEMORY, json.dumps(here, indent=1) + "\n")
    except (OSError, DataError) as error:
        _LOG.info("what was found out about files is not remembered: %s", error)

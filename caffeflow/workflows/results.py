"""`caffeflow results`: gathers what the run folders know into one line a run.

A run's net is the copy in its folder. Figures of `caffeflow test` on the run's own test data win over those
of the training's last test pass, which weighs batches and goes round the corner of the data.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.data.manifest import MANIFEST_NAME, read_manifest
from caffeflow.errors import CaffeflowError, DataError, TemplateError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import read_net
from caffeflow.render.catalog import Expected, Net, find_net
from caffeflow.render.recipe import find_net_by_recipe
from caffeflow.report.results import RunLine
from caffeflow.report.summary import NetSummary, summarize
from caffeflow.workflows.open_net import Ask, open_net
from caffeflow.workflows.run_folder import RECORD_NAME, RUNS, read_record
from caffeflow.workflows.test_data import RECORD_LAYERS, source_of
from caffeflow.workflows.test_keeping import TESTS

_log = logging.getLogger(__name__)

_NET_FILES: Final = ("train_val.prototxt", "test.prototxt")
_NO_LAYER: Final = LayerParameter(type="Data")
_NOTHING_EXPECTED: Final = Expected(data="", source="")


@dataclass(frozen=True)
class _Scores:
    """What a run has reached, and where that is from: `test`, `train`, or nowhere."""

    top1: float | None
    top5: float | None
    mean_ap: float | None
    measured: str


def gather_results(asked: Sequence[Path]) -> list[RunLine]:
    """Returns a line for each run, in the order in which they were begun.

    Args:
        asked: Run folders, or folders of such; none: `runs/`.

    Raises:
        DataError: There is no run.
    """
    places = asked or [RUNS]
    folders = dict.fromkeys(run for place in places for run in _runs_in(place))
    if not folders:
        named = ", ".join(map(str, places))
        raise DataError(f"there is no run in {named}; make one with: caffeflow train")
    records = [(folder, read_record(folder)) for folder in folders]
    records.sort(key=lambda run: str(run[1].get("started")))
    return [_line(folder, record) for folder, record in records]


def _runs_in(place: Path) -> list[Path]:
    if (place / RECORD_NAME).exists():
        return [place]
    return sorted(path.parent for path in place.glob(f"*/{RECORD_NAME}"))


def _line(folder: Path, record: Mapping[str, Any]) -> RunLine:
    path = next((folder / name for name in _NET_FILES if (folder / name).exists()), None)
    net = filter_net(read_net(path).net, net_state("TEST")) if path else NetParameter()
    data = next((layer for layer in net.layer if layer.type in RECORD_LAYERS), _NO_LAYER)
    cost = _find_cost(path) if path else None
    scores = _scores(folder, record, net, data)
    name, expected = _identity(record)
    return RunLine(
        run=str(folder),
        state=str(record.get("state", "")),
        net=name,
        data=_data_name(data),
        resize=_resize(data),
        crop="x".join(map(str, cost.input[2:])) if cost else "",
        iterations=int(record.get("iterations", 0)),
        macs=cost.macs if cost else None,
        parameters=cost.parameters if cost else None,
        top1=scores.top1,
        top5=scores.top5,
        mean_ap=scores.mean_ap,
        measured=scores.measured,
        published_top1=expected.top1,
        published_top5=expected.top5,
        published_data=expected.data,
        published_source=expected.source,
    )


def _find_cost(path: Path) -> NetSummary | None:
    """Returns the summary of a net, or None where its data are gone or it cannot be understood."""
    try:
        return summarize(path.stem, "TEST", open_net(Ask(net=str(path))).shapes())
    except CaffeflowError as error:
        _log.info("%s: its cost is not known: %s", path, error)
        return None


def _scores(folder: Path, record: Mapping[str, Any], net: NetParameter, data: LayerParameter) -> _Scores:
    own = source_of(data).resolve()
    tests = sorted((folder / TESTS).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in reversed(tests):
        tested = json.loads(path.read_text(encoding="utf-8"))
        if Path(tested["source"]).resolve() == own:
            return _Scores(tested.get("top1"), tested.get("top5"), tested.get("map"), "test")
    last = {
        name: score["last"] for name, score in record.get("results", {}).items() if isinstance(score, dict)
    }
    tops = {
        layer.accuracy_param.top_k: last.get(f"test {layer.top[0]}")
        for layer in net.layer
        if layer.type == "Accuracy"
    }
    means = [last.get(f"test {layer.top[0]}") for layer in net.layer if layer.type == "DetectionEvaluate"]
    found = (tops.get(1), tops.get(5), means[0] if means else None)
    return _Scores(*found, "train" if any(score is not None for score in found) else "")


def _identity(record: Mapping[str, Any]) -> tuple[str, Expected]:
    """Returns the net's name in the catalogue, and what is published for it; its own name otherwise."""
    model = Path(record.get("solver_path", "")).parent
    for path in model.glob("*.variables.toml"):
        try:
            rendered = tomllib.loads(path.read_text(encoding="utf-8"))["rendered"]
            net = _rendered_net(rendered)
        except (OSError, ValueError, TypeError, KeyError, TemplateError) as error:
            _log.info("%s: names no net of the catalogue: %s", path, error)
            continue
        name = f"{net.name}:{net.variant}" if net.variant else net.name
        return name, net.expected or _NOTHING_EXPECTED
    return str(record.get("net", "")), _NOTHING_EXPECTED


def _rendered_net(rendered: Mapping[str, str]) -> Net:
    name, variant, recipe = rendered["net"], rendered["variant"] or None, rendered.get("recipe")
    return find_net_by_recipe(name, variant, recipe) if recipe else find_net(name, variant)


def _data_name(data: LayerParameter) -> str:
    source = source_of(data)
    return source.parent.name if (source.parent / MANIFEST_NAME).exists() else source.name


def _resize(data: LayerParameter) -> str:
    """Returns the size of the records as they were prepared, if that is known."""
    source = source_of(data)
    if (source.parent / MANIFEST_NAME).exists():
        manifest = read_manifest(source.parent)
        if manifest.height is not None:
            return f"{manifest.height}x{manifest.width}"
        short_side = manifest.settings.get("short_side")
        return f"short side {short_side}" if short_side else "as they are"
    param = data.image_data_param
    return f"{param.new_height}x{param.new_width}" if param.new_height else ""

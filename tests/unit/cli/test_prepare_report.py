"""The words of `prepare`: forecast, units, and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffeflow.cli import console, prepare_report
from caffeflow.data.build import Forecast, Manifest
from caffeflow.data.manifest import Split
from caffeflow.workflows.prepare import Report


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.02, "1 s"), (59.6, "60 s"), (99, "99 s"), (150, "2 min"), (5999, "100 min"), (9000, "2.5 h")],
)
def test_the_forecast_names_images_sizes_and_time(seconds: float, words: str) -> None:
    expected = Forecast(
        images=1_281_167,
        bytes_of={"raw": 251_900_000_000, "jpg": 61_000_000_000},
        encoding="jpg",
        picture_bytes=196_608,
        seconds=seconds,
    )
    line = prepare_report.forecast_line(expected)
    assert line == f"forecast: 1,281,167 images; raw 251.9 GB, jpg 61.0 GB; takes jpg, about {words}"


@pytest.mark.parametrize(
    ("facts", "net"),
    [
        ({"height": 28, "width": 28}, "lenet"),
        ({"height": 32, "width": 32}, "cifar10-quick"),
        ({"height": 64, "width": 31}, "lenet"),
        ({"height": 256, "width": 256}, "mobilenet-v2"),
        ({}, "mobilenet-v2"),
        ({"task": "detection", "source": "coco"}, "ssdlite-coco"),
        ({"task": "detection", "source": "kitti", "height": 28}, "ssdlite-voc"),
    ],
)
def test_the_next_step_can_be_typed(
    facts: dict[str, Any], net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    split = Split(
        path="train_lmdb", root=None, count=5, rejected={}, unusual={}, labels={0: 2, 1: 3}, digest=""
    )
    usual = {
        "name": "d", "source": "folder", "backend": "lmdb", "encode": "raw", "channels": 3, "height": None,
        "width": None, "classes": 2, "class_names": ("a", "b"), "splits": {"train": split}, "mean": None,
        "settings": {},
    }  # fmt: skip
    manifest = Manifest(**usual | facts)
    report = Report(out_dir=Path("my data/d"), manifest=manifest, images_per_s=7.0)
    console.result(prepare_report.render(report))
    assert capsys.readouterr().out.splitlines()[-1] == f"next: caffeflow render {net} --data 'my data/d'"

"""The whole way with nothing but the commands: annotations, nets, a training, scores and result files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.workflows.run_folder import read_record
from tests.support.detection_project import scenes
from tests.support.voc_scenes import NAMES, write_voc


@pytest.mark.slow
def test_from_annotations_to_scores(capsys: pytest.CaptureFixture[str]) -> None:
    made = scenes(27, seed=3, size=(90, 120))
    write_voc(Path("VOC2007"), made, val=7)
    assert run(["prepare", "voc", "VOC2007", "--name", "shapes"]) == 0
    words = ["--input-size", "96", "--max-iter", "30", "--batch-size", "4", "--test-batch-size", "7"]
    assert run(["render", "ssd-small", *words]) == 0
    capsys.readouterr()
    assert run(["train"]) == 0  # the solver that only tests does not stand in the way
    shown = capsys.readouterr()
    assert "ball" in shown.out
    assert "Test net output #0: detection_eval = " in shown.err
    (folder,) = Path("runs").iterdir()
    score = read_record(folder)["results"]["test detection_eval"]
    val_boxes = [box for scene in made[-7:] for box in scene.boxes]
    assert [one["name"] for one in score["classes"]] == ["ball", "cube"]

    assert run(["test", "--metric", "coco", "--results", "results", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["records"], result["boxes"]) == (7, len(val_boxes))
    assert [one["boxes"] for one in result["per_class"]] == [
        sum(box[0] == label and not box[5] for box in val_boxes) for label in NAMES
    ]
    lines = Path("results/comp4_det_test_ball.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} <= {f"im{number:03d}" for number in range(20, 27)}
    assert (folder / "tests").exists()

    assert run(["test", "models/ssd-small/deploy.prototxt", "--data", "data/shapes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 7
    assert run(["results", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert line["mean_ap"] is not None

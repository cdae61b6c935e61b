"""Training a small SSD and testing it: log, record, scores each image once, result files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.report.log import read_log
from caffeflow.workflows.run_folder import read_record
from caffeflow.workflows.train_settings import find_solver
from tests.support.detection_project import FIELDS, DetectionProject, scenes


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was trained once for all tests."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        DetectionProject().train()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def trained(trained_folder: Path, tmp_path: Path) -> Path:
    """Its copy as the working folder; returns the net's folder."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    return DetectionProject.folder


def result_of(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    capsys.readouterr()
    assert run(["test", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    capsys.readouterr()
    return run(["test", *map(str, words)]), capsys.readouterr().err


def test_a_training_is_scored_and_its_scores_are_kept() -> None:
    project = DetectionProject(f"{FIELDS} show_per_class_result: true")
    report = project.train()
    (log,) = read_log(report.run_dir / "caffe.log")
    assert [row.iteration for row in log.test] == [30, 60]
    last = log.test[-1].outputs
    assert last["detection_eval"] > 0.3
    assert last["detection_eval"] == pytest.approx((last["class1"] + last["class2"]) / 2, abs=1e-5)

    score = read_record(report.run_dir)["results"]["test detection_eval"]
    assert score["last"] == pytest.approx(last["detection_eval"], abs=1e-5)
    assert score["best"] == max(row.outputs["detection_eval"] for row in log.test) or score["best"] > 0.3
    assert [(one["label"], one["name"]) for one in score["classes"]] == [(1, "a ball"), (2, "a cube")]
    assert [one["ap"] for one in score["classes"]] == pytest.approx(
        [last["class1"], last["class2"]], abs=1e-5
    )
    boxes = [box for scene in project.val_scenes for box in scene.boxes if not box[5]]
    assert [one["boxes"] for one in score["classes"]] == [
        sum(box[0] == label for box in boxes) for label in (1, 2)
    ]

    with (report.run_dir / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0])[-3:] == ["test detection_eval", "test class1", "test class2"]
    assert float(rows[-1]["test class1"]) == pytest.approx(last["class1"], abs=1e-5)
    assert (report.run_dir / "curves.png").exists()


def test_each_image_is_tested_once_with_the_figures_of_a_pass_over_all(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val_scenes = scenes(15, seed=2)
    result = result_of(capsys, "tiny")
    assert (result["records"], result["ap_version"], result["task"]) == (15, "11point", "detection")
    assert result["boxes"] == sum(len(scene.boxes) for scene in val_scenes)
    assert run(["test", "tiny", "--like-caffe", "--json"]) == 0
    shown = capsys.readouterr()
    like = json.loads(shown.out)
    assert like["iterations"] == 3  # the solver's test_iter
    assert like["outputs"] == [{"blob": "detection_eval", "value": pytest.approx(result["map"], abs=1e-6)}]
    said = [line.partition("] ")[2] for line in shown.err.splitlines()]
    assert f"class1: {result['per_class'][0]['ap']:g}" in said
    assert f"    Test net output #0: detection_eval = {like['outputs'][0]['value']:g}" in said


def test_the_size_of_a_batch_changes_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = result_of(capsys, "tiny")
    parts = result_of(capsys, "tiny", "--batch-size", 4)  # the last batch has 3 of 15
    for name in ("map", "boxes", "detections", "records"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-5)
    other = result_of(capsys, "tiny", "--ap", "Integral")
    assert other["ap_version"] == "Integral"
    assert other["map"] != whole["map"]


def test_a_deploy_net_is_tested_as_the_test_net_beside_it(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = result_of(capsys, "tiny")
    deploy = result_of(capsys, trained / "deploy.prototxt")
    assert deploy["map"] == pytest.approx(whole["map"], abs=1e-6)
    assert [one["name"] for one in deploy["per_class"]] == ["1", "2"]  # a deploy net names no label map
    moved = Path("elsewhere/deploy.prototxt")
    moved.parent.mkdir()
    moved.write_text((trained / "deploy.prototxt").read_text())
    words = ["--data", DetectionProject.val_lmdb, "--weights", "models/tiny/tiny_iter_60.caffemodel"]
    alone = result_of(capsys, moved, *words, "--mean", "110", "--scale", "0.0125", "--ap", "11point")
    assert alone["map"] == pytest.approx(whole["map"], abs=1e-6)


def test_boxes_in_pixels_follow_the_size_file(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = Path("sizes.txt")
    sizes.write_text("".join(f"image{number} 42 54\n" for number in range(15)))
    net = trained / "test.prototxt"
    settings = "evaluate_difficult_gt: false"
    net.write_text(net.read_text().replace(settings, f'{settings} name_size_file: "sizes.txt"'))
    result = result_of(capsys, "tiny", "--results", "results")
    assert run(["test", "tiny", "--like-caffe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"][0]["value"] == pytest.approx(
        result["map"], abs=0.02
    )
    for label, name in ((1, "ball"), (2, "cube")):
        lines = Path(f"results/comp4_det_test_{name}.txt").read_text().splitlines()
        assert len(lines) == result["per_class"][label - 1]["detections"] or result["difficult"]
        words = [line.split() for line in lines]
        assert {len(line) for line in words} == {6}
        assert {line[0] for line in words} <= {f"image{number}" for number in range(15)}
        corners = np.array([line[2:] for line in words], float)
        assert (corners >= 0).all()
        assert (corners <= [54, 42, 54, 42]).all()
        assert corners.max() > 30
    found = json.loads(Path("results/coco_results.json").read_text())
    assert len(found) == result["detections"]
    assert set(found[0]) == {"image_id", "category_id", "bbox", "score"}
    assert result["files"] == [
        "results/comp4_det_test_ball.txt", "results/comp4_det_test_cube.txt", "results/coco_results.json",
    ]  # fmt: skip
    code, error = refused(capsys, "tiny", "--results", "results")
    assert (code, "--force" in error) == (2, True)
    assert run(["test", "tiny", "--results", "results", "--force"]) == 0


def test_cocos_numbers(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pycocotools")
    result = result_of(capsys, "tiny", "--metric", "coco")
    figures = result["coco"]
    assert len(figures) == 12
    assert figures["AP"] < figures["AP50"]
    # COCO reads the curve at 101 points where VOC reads it at 11.
    assert figures["AP50"] == pytest.approx(result["map"], abs=0.1)
    assert figures["AP_large"] is None  # there are no boxes of 96 x 96
    assert run(["test", "tiny", "--metric", "coco"]) == 0
    assert "overlaps 0.50 to 0.95" in capsys.readouterr().out


def test_the_run_knows_its_mean_average_precision(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["results", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["measured"], line["top1"]) == ("train", None)
    assert line["mean_ap"] > 0.2


def test_solvers_that_only_test_are_not_trained() -> None:
    project = DetectionProject()
    idle = project.solver.read_text().replace("max_iter: 60", "max_iter: 0")
    (project.folder / "solver_test.prototxt").write_text(idle)
    (project.folder / "solver_check.prototxt").write_text('train_net: "x" max_iter: 0')
    assert find_solver() == project.solver


def test_a_stopped_training_goes_on_to_the_same_weights(trained_folder: Path) -> None:
    project = DetectionProject()

    def stop(done: int, total: int, note: str) -> None:
        if done == 37:
            signal.raise_signal(signal.SIGINT)

    project.screen.progress = stop
    assert project.train().iterations == 37
    report = project.train(resume=True)
    assert report.iterations == 60
    unbroken = trained_folder / "models/tiny/tiny_iter_60.caffemodel"
    assert Path("models/tiny/tiny_iter_60.caffemodel").read_bytes() == unbroken.read_bytes()
    (whole,) = (trained_folder / "runs").iterdir()
    assert read_record(report.run_dir)["results"] == read_record(whole)["results"]


def test_without_pycocotools_the_way_to_it_is_told(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    code, error = refused(capsys, "tiny", "--metric", "coco")
    assert (code, "pip install 'caffeflow[coco]'" in error) == (2, True)


def test_options_for_boxes_are_refused_where_there_are_none(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = refused(capsys, "tiny", "--like-caffe", "--metric", "coco")
    assert (code, "--like-caffe" in error) == (2, True)
    net = trained / "test.prototxt"
    net.write_text(net.read_text().replace('type: "AnnotatedData"', 'type: "Data"'))
    code, error = refused(capsys, "tiny")
    assert (code, "finds boxes, but data layer 'data' of type Data brings none" in error) == (4, True)


def test_a_threshold_that_makes_the_mean_smaller_is_noted(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = trained / "test.prototxt"
    net.write_text(net.read_text().replace("confidence_threshold: 0.01", "confidence_threshold: 0.5"))
    assert run(["test", "tiny", "--json"]) == 0
    assert "confidence_threshold 0.5, which makes mAP smaller" in capsys.readouterr().err


def test_a_net_that_finds_nothing_has_a_mean_of_zero(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = trained / "test.prototxt"
    net.write_text(net.read_text().replace("confidence_threshold: 0.01", "confidence_threshold: 1"))
    result = result_of(capsys, "tiny", "--results", "results")
    assert (result["map"], result["detections"]) == (0.0, 0)
    assert json.loads(Path("results/coco_results.json").read_text()) == []
    assert run(["test", "tiny", "--like-caffe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == []  # as Caffe, which prints nothing then

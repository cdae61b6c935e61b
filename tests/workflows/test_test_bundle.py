"""`caffeflow test BUNDLE`: figures by formula, the matrix twice, and the worst mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from tests.support import linear_project as linear

ANSWERS = [linear.probabilities(planes) for planes in linear.PLANES]
TAKEN = [int(answer.argmax()) for answer in ANSWERS]
WRONG = [place for place in range(linear.COUNT) if TAKEN[place] != linear.LABELS[place]]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    linear.write_linear_model(tmp_path)
    assert run(["deploy", "linear", "--out", "bundle", "--no-opencv"]) == 0
    return tmp_path / "bundle"


def scored(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    code = run(["test", *map(str, words), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = run(["test", *map(str, words)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("backend", ["lmdb", "imagedata"])
def test_figures_are_those_of_the_formula(
    bundle: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    data = linear.write_linear_dataset(Path("other"), backend=backend)
    result = scored(capsys, bundle, "--data", data, "--batch-size", 5)
    assert result["records"] == linear.COUNT
    assert result["top1"] == pytest.approx(1 - len(WRONG) / linear.COUNT)
    best = [np.argsort(-answer)[:5] for answer in ANSWERS]
    among = [label in five for label, five in zip(linear.LABELS, best, strict=True)]
    assert result["top5"] == pytest.approx(np.mean(among))
    own = [answer[label] for answer, label in zip(ANSWERS, linear.LABELS, strict=True)]
    assert result["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert result["per_class"][2]["name"] == "kind 2"


def test_figures_are_those_of_the_tested_net(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = scored(capsys, bundle, "--data", "data/own"), scored(capsys, "linear")
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
    for name in ("top1", "top5", "per_class", "confusion", "most_confused"):
        assert ours[name] == theirs[name]


def test_the_matrix_is_a_table_and_a_picture(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(capsys, bundle, "--data", "data/own")
    folder = bundle / "tests" / "own-val"
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.csv", "confusion.png", "mistakes.png", "result.json",
    ]  # fmt: skip
    rows = list(csv.reader((folder / "confusion.csv").read_text().splitlines()))
    assert rows[0][1:] == list(linear.NAMES) == [row[0] for row in rows[1:]]
    counted = np.zeros((7, 7), int)
    for label, taken in zip(linear.LABELS, TAKEN, strict=True):
        counted[label, taken] += 1
    np.testing.assert_array_equal([[int(cell) for cell in row[1:]] for row in rows[1:]], counted)
    assert cv2.imread(str(folder / "confusion.png")).shape[2] == 3
    assert json.loads((folder / "result.json").read_text())["top1"] == result["top1"]


def test_the_surest_mistake_comes_first(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored(capsys, bundle, "--data", "data/own", "--out", "here")
    assert 4 < len(WRONG) <= 36, "the sheet is to have several rows"
    worst = max(WRONG, key=lambda place: ANSWERS[place].max())
    sheet = cv2.imread("here/mistakes.png")
    height = round(11 * 160 / 13)
    first = sheet[8 + (160 - height) // 2 :, 8:][:height, :160]
    shown = cv2.resize(
        linear.PLANES[worst].transpose(1, 2, 0), (160, height), interpolation=cv2.INTER_NEAREST
    )
    np.testing.assert_array_equal(first, shown)


def test_files_of_an_earlier_test_are_kept_without_force(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(capsys, bundle, "--data", "data/own", "--out", "here")
    code, error = refused(capsys, bundle, "--data", "data/own", "--out", "here")
    assert (code, "--force" in error) == (2, True)
    assert run(["test", str(bundle), "--data", "data/own", "--out", "here", "--force"]) == 0
    assert "most often confused" in capsys.readouterr().out


def test_what_does_not_fit_is_said(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected, message in (
        (["--weights", "a.caffemodel", "--data", "data/own"], 2, "says itself"),
        ([], 2, "--data"),
        (["--data", "data/own", "--split", "train"], 5, "no split 'train', only val"),
        (["--data", "models"], 5, "no dataset.json"),
    ):
        code, error = refused(capsys, bundle, *words)
        assert (code, message in error) == (expected, True), error
    code, error = refused(capsys, "linear", "--out", "x")
    assert (code, "for bundles" in error) == (2, True)
    assert not (bundle / "tests").exists()


def test_classes_in_another_order_are_refused_and_others_noted(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = linear.write_linear_dataset(Path("turned"), names=linear.NAMES[::-1])
    code, error = refused(capsys, bundle, "--data", turned)
    assert (code, "in another order" in error) == (5, True)
    others = linear.write_linear_dataset(Path("others"), names=[f"sort {label}" for label in range(7)])
    assert run(["test", str(bundle), "--data", str(others)]) == 0
    assert "label 0 is 'kind 0'" in capsys.readouterr().err

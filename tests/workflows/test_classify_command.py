"""`caffeflow classify` with a bundle whose answers a few lines of numpy give."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from tests.support import linear_project as linear
from tests.support.records import picture_bytes
from tests.workflows.test_detect_command import DEPLOY as BOXES


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    linear.write_linear_model(tmp_path)
    assert run(["deploy", "linear", "--out", "bundle", "--no-opencv"]) == 0
    return tmp_path / "bundle"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for place, planes in enumerate(linear.PLANES[:5]):
        path = tmp_path / "photos" / str(place % 2) / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_bytes(planes))
    return tmp_path / "photos"


def seen(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict]:
    assert run(["classify", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = run(["classify", *map(str, words)])
    return code, capsys.readouterr().err


def test_the_best_five_with_names_and_probabilities(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = seen(capsys, bundle, photos, "--batch-size", 2)
    assert [Path(one["image"]).stem for one in found] == ["0", "2", "4", "1", "3"]
    for one in found:
        expected = linear.probabilities(linear.PLANES[int(Path(one["image"]).stem)])
        best = np.argsort(-expected)[:5]
        assert [each["label"] for each in one["classes"]] == best.tolist()
        assert [each["name"] for each in one["classes"]] == [f"kind {label}" for label in best]
        assert [each["probability"] for each in one["classes"]] == pytest.approx(expected[best], abs=1e-6)


def test_pictures_of_other_sizes_are_resized_as_the_records_were(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = cv2.resize(linear.PLANES[0].transpose(1, 2, 0), (40, 30))
    assert cv2.imwrite("large.png", large)
    (one,) = seen(capsys, bundle, "large.png", "--top", 7)
    record = cv2.resize(large, (13, 11)).transpose(2, 0, 1)
    expected = linear.probabilities(record)
    found = {each["label"]: each["probability"] for each in one["classes"]}
    assert [found[label] for label in range(7)] == pytest.approx(expected, abs=1e-5)


def test_lines_for_people(bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", str(bundle), "photos/0/0.png", "--top", "2"]) == 0
    expected = linear.probabilities(linear.PLANES[0])
    first, second = np.argsort(-expected)[:2]
    assert capsys.readouterr().out.splitlines() == [
        f"photos/0/0.png: {expected[first]:.4f} kind {first}",
        f"photos/0/0.png: {expected[second]:.4f} kind {second}",
    ]


def test_drawn_pictures_have_the_picture_above_and_text_below(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = seen(capsys, bundle, photos, "--out", "drawn", "--top", 3)
    assert [one["drawn"] for one in found] == [
        f"drawn/{name}.png" for name in ("0/0", "0/2", "0/4", "1/1", "1/3")
    ]
    drawn = cv2.imread("drawn/0/0.png")
    factor = drawn.shape[1] // 13
    assert factor > 10, "a picture of 13 pixels is enlarged"
    shown = drawn[factor // 2 : 11 * factor : factor, factor // 2 : 13 * factor : factor]
    np.testing.assert_array_equal(shown.transpose(2, 0, 1), linear.PLANES[0])
    below = drawn[11 * factor :]
    assert (below == 255).mean() > 0.5
    assert (below < 100).any()
    code, error = refused(capsys, bundle, photos, "--out", "drawn")
    assert (code, "--force" in error) == (2, True)
    assert run(["classify", str(bundle), str(photos), "--out", "drawn", "--force"]) == 0


def test_pictures_of_one_name_are_no_trouble_unless_they_are_drawn(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "1" / "0.png").write_bytes((photos / "0" / "0.png").read_bytes())
    both = [photos / "0" / "0.png", photos / "1" / "0.png"]
    assert len(seen(capsys, bundle, *both)) == 2
    code, error = refused(capsys, bundle, *both, "--out", "drawn")
    assert (code, "would both be drawn as drawn/0.png" in error) == (2, True)


def test_unreadable_pictures_are_named_and_left_out(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = photos / "0" / "2.png"
    broken.write_bytes(broken.read_bytes()[:50])
    assert run(["classify", str(bundle), "photos", "--json"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == 4
    assert "left out: image 'photos/0/2.png' is truncated" in said.err
    assert refused(capsys, bundle, broken)[0] == 5


def test_what_is_no_bundle_of_a_classifier(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = refused(capsys, "models/linear", photos)
    assert (code, "is no bundle" in error, "caffeflow deploy models/linear" in error) == (2, True, True)
    (bundle / "deploy.prototxt").write_text(BOXES)
    code, error = refused(capsys, bundle, photos)
    assert (code, "caffeflow detect PICTURE --net" in error) == (4, True)


def test_labels_must_be_as_many_as_classes(
    bundle: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "labels.txt").write_text("cat\ndog\n")
    code, error = refused(capsys, bundle, photos)
    assert (code, "labels.txt: has 2 lines" in error) == (5, True)
    (bundle / "preprocess.json").write_text("{}")
    code, error = refused(capsys, bundle, photos)
    assert (code, "preprocess.json" in error) == (5, True)

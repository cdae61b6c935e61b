"""`prepare --augment-copies` as it is typed, and training the embedded engine on its dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from tests.support.mixed_images import write_images


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(Path("photos"), count=18, broken=False)


def test_copies_are_written_beside_the_images_and_show_on_the_sheet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--val-fraction", "0.34", "--resize", "9x8", "--augment", "crop", "--rand-scale", "0.5", "1"]
    assert run(["prepare", "folder", "photos", *options, "--color-jitter", "--augment-copies", "2"]) == 0
    manifest = json.loads(Path("data/folder/dataset.json").read_text())
    counts = {name: split["count"] for name, split in manifest["splits"].items()}
    assert counts == {"train": 36, "val": 6}
    settings = manifest["settings"]
    asked = {name: settings[name] for name in ("augment", "rand_scale", "color_jitter", "augment_copies")}
    assert asked == {"augment": "crop", "rand_scale": [0.5, 1.0], "color_jitter": 0.4, "augment_copies": 2}
    assert run(["dataset", "verify", "data/folder"]) == 0
    assert run(["dataset", "show", "data/folder", "--sheet", "sheet.png"]) == 0
    assert "augment_copies 2" in capsys.readouterr().out
    assert Path("sheet.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--augment", "crop"], "--augment crop: prepare changes copies"),
        (["--augment-copies", "2"], "--augment-copies 2 does not say how the copies differ"),
        (["--rand-scale", "0", "1", "--augment-copies", "2"], "--rand-scale is 0 1; expected two shares"),
        (["--augment", "crop", "--augment-copies", "0"], "--augment-copies is 0; expected at least 1"),
    ],
)
def test_what_makes_no_copies_is_said_before_anything_is_written(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["prepare", "folder", "photos", *options]) == 2
    assert said in capsys.readouterr().err
    assert not Path("data").exists()

"""Training on pictures that are changed at random: the record, going on, and where it is refused."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from caffeflow.augmentation import Augmentation
from caffeflow.cli.main import run
from caffeflow.errors import NativeError, NetError, UsageError
from caffeflow.workflows.run_folder import read_record
from tests.support.training_project import NET, Project, runs

FIELDS = "max_iter: 10 test_iter: 2 test_interval: 5 snapshot: 5"
EVERYTHING = Augmentation(augment="inception", rand_scale=(0.3, 0.9), color_jitter=0.5)
OPTIONS = ("--augment", "inception", "--rand-scale", "0.3", "0.9", "--color-jitter", "0.5")
LAST = "snapshots/tiny_iter_10.caffemodel"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_stopped_run_goes_on_as_it_was_asked_and_ends_as_an_unbroken_one() -> None:
    project = Project(FIELDS)
    whole = (project.train(augmentation=EVERYTHING).run_dir / LAST).read_bytes()

    def progress(done: int, total: int, note: str) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    project.screen.progress = progress
    first = project.train(augmentation=EVERYTHING)
    assert (first.iterations, first.is_complete) == (3, False)
    project.screen.progress = lambda *_: None
    second = project.train(resume=True)
    assert second.run_dir == first.run_dir
    assert (second.run_dir / LAST).read_bytes() == whole


def test_the_options_reach_the_feed_and_the_record() -> None:
    project = Project(FIELDS)
    solver = ["train", "--solver", str(project.solver)]
    assert run([*solver, *OPTIONS]) == 0
    assert run(solver) == 0
    assert run([*solver, "--color-jitter", "--rand-scale", "0.5", "1"]) == 0
    asked = [read_record(Path("runs", name))["settings"]["augmentation"] for name in runs()]
    assert asked == [
        {"augment": "inception", "rand_scale": [0.3, 0.9], "color_jitter": 0.5},
        None,
        {"augment": None, "rand_scale": [0.5, 1.0], "color_jitter": 0.4},
    ]
    assert len({Path("runs", name, LAST).read_bytes() for name in runs()}) == 3


def test_a_run_may_go_on_otherwise_than_it_began() -> None:
    project = Project(FIELDS)
    project.train(augmentation=EVERYTHING, iterations=5)
    (record,) = Path("runs").glob("*/run.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "stopped"}))
    other = Augmentation(augment="crop")
    report = project.train(resume=True, iterations=10, augmentation=other)
    assert report.iterations == 10


def test_a_run_goes_on_without_what_it_began_with() -> None:
    project = Project(FIELDS)
    plain = (project.train().run_dir / LAST).read_bytes()
    assert (project.train(augmentation=Augmentation(augment="none")).run_dir / LAST).read_bytes() == plain
    begun = project.train(augmentation=EVERYTHING, iterations=5).run_dir
    record = begun / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "stopped"}))
    off = Augmentation(augment="none")
    report = project.train(resume=True, out_dir=begun, iterations=10, augmentation=off)
    assert (report.iterations, report.run_dir) == (10, begun)
    whole = project.train(augmentation=EVERYTHING).run_dir
    assert (begun / LAST).read_bytes() not in (plain, (whole / LAST).read_bytes())
    with pytest.raises(NativeError, match="nothing there"):  # so the real caffe would be asked
        project.train(engine="caffe", caffe=Path("nothing there"), augmentation=off)


def test_records_of_earlier_versions_go_on_without() -> None:
    project = Project(FIELDS)
    project.train(iterations=5)
    (record,) = Path("runs").glob("*/run.json")
    fields = json.loads(record.read_text())
    del fields["settings"]["augmentation"]
    record.write_text(json.dumps(fields | {"state": "stopped"}))
    assert project.train(resume=True, iterations=10).iterations == 10


@pytest.mark.parametrize(
    "options",
    [("--augment", "crop"), ("--rand-scale", "0.5", "1"), ("--color-jitter", "0.25"), OPTIONS],
    ids=lambda options: options[0],
)
def test_the_real_caffe_is_not_asked_for_it(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    solver = str(Project(FIELDS).solver)
    assert run(["train", "--solver", solver, "--engine", "caffe", *options]) == 2
    message = capsys.readouterr().err
    assert f"{' '.join(options)}: Caffe's transformer has no words for this" in message
    assert f"caffeflow prepare … {' '.join(options)} --augment-copies N" in message
    assert not Path("runs").exists()


def test_a_net_without_pictures_of_its_own_is_refused_before_anything_is_written() -> None:
    project = Project(FIELDS)
    tail = NET.partition('layer { name: "conv"')[2]
    dummy = """layer { name: "data" type: "DummyData" top: "data" top: "label"
      dummy_data_param { shape { dim: 5 dim: 3 dim: 7 dim: 7 } shape { dim: 5 } } }"""
    net = project.solver.with_name("train_val.prototxt")
    net.write_text(f'{dummy} layer {{ name: "conv"{tail}'.replace("CLASSES", "5"))
    with pytest.raises(
        UsageError, match="for nets with one Data or ImageData layer to train from; found none"
    ):
        project.train(augmentation=EVERYTHING)
    net.write_text(NET.replace("crop_size: 7", "crop_h: 7 crop_w: 7").replace("CLASSES", "5"))
    with pytest.raises(NetError, match=r"crop_h and crop_w in transform_param exclude each other"):
        project.train(augmentation=EVERYTHING)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rand-scale", "0.9", "0.3"], "--rand-scale is 0.9 0.3; expected two shares"),
        (["--color-jitter", "1.5"], "--color-jitter is 1.5; expected above 0 and up to 1"),
        (["--augment", "ssd"], "'ssd' is not one of 'crop', 'inception'"),
        (["--color-jitter", "photos"], "'photos' is not a valid float"),
    ],
)
def test_what_is_no_choice_is_said(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--solver", str(Project(FIELDS).solver), *options]) == 2
    assert said in capsys.readouterr().err

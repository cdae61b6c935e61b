"""The wheel, away from the checkout, has everything that the commands need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the unpacked wheel, as an installer would leave it."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = out.glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def caffeflow(installed: Path, *words: str) -> str:
    # The installed copy comes first; the checkout's own path must not be what is imported.
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r});"
        " import caffeflow; assert 'site' in caffeflow.__file__, caffeflow.__file__;"
        f" from caffeflow.cli.main import run; sys.exit(run({list(words)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_renders_a_net(installed: Path) -> None:
    assert "type: " in caffeflow(installed, "render", "lenet", "--dry-run", "--classes", "10")
    assert "--recipe cifar10" in caffeflow(
        installed, "render", "resnet50", "--recipe", "cifar10", "--dry-run"
    )


def test_wheel_lists_layers_and_summarises(installed: Path) -> None:
    assert "Convolution" in caffeflow(installed, "layers")
    assert json.loads(caffeflow(installed, "summary", "lenet", "--json"))


def test_wheel_lists_published_weights(installed: Path) -> None:
    names = [model["name"] for model in json.loads(caffeflow(installed, "weights", "list", "--json"))]
    assert "vgg16" in names


def test_wheel_brings_the_stand_in_for_caffe(installed: Path) -> None:
    (names,) = installed.glob("*.dist-info/entry_points.txt")
    assert "caffeflow-caffe = caffeflow.drop_in.__main__:main" in names.read_text().splitlines()
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); sys.argv[1:] = ['device_query']"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; from caffeflow.drop_in.__main__ import main; main()"],
        cwd=installed, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.rstrip("\n").endswith("] Querying GPUs ")


def test_wheel_holds_no_tests_and_no_checkout_files(installed: Path) -> None:
    names = {path.relative_to(installed).parts[0] for path in installed.rglob("*")}
    assert {name for name in names if not name.endswith(".dist-info")} == {"caffeflow"}

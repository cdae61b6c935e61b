"""Python's patches: files of a tree's shape that run afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import BARE, SSD, write_files

PYCAFFE_IO = """def to_datum(arr):
    return arr.tostring()

def to_array(data):
    return np.fromstring(data, dtype=np.uint8).reshape(3, 5)

def load(name, color=True):
    return skimage.io.imread(name, as_grey=not color)
"""
MODEL_LIBS = """def Unpack(var, num):
  assert len > 0
  return [var for i in xrange(0, num)]

def Pad(kernel, dilation):
    pad = int((kernel + (dilation - 1) * (kernel - 1)) - 1) / 2
    return pad
"""
SECONDS = """import datetime

def extract(line, year):
    line = line.strip().split()
    month = int(line[0][1:3])
    day = int(line[0][3:])
    return datetime.datetime(year, month, day)
"""
SSD_SCRIPT = """accum = 32
batch = 5
num_images = 4952
test_batch = 8
step = (90 - 20) / (7 - 2)
iter_size = accum / batch
test_iter = num_images / test_batch
ratios = [r for r in xrange(20, 90, 35)]
"""


def patched(root: Path, files: Mapping[str, str], *patches: str) -> Tree:
    tree = open_tree(write_files(root, dict(BARE) | dict(files)))
    apply(tree, plan(tree, only=patches))
    assert plan(tree, only=patches).changes == ()
    return tree


def run(text: str, **names: object) -> dict[str, Any]:
    scope: dict[str, Any] = dict(names)
    exec(text, scope)  # noqa: S102 - text of this file
    return scope


def test_images_and_datums_are_read_with_todays_names(tmp_path: Path) -> None:
    asked: dict[str, object] = {}
    reader = SimpleNamespace(io=SimpleNamespace(imread=lambda name, **options: asked.update(options)))
    tree = patched(tmp_path, {"python/caffe/io.py": PYCAFFE_IO}, "python-image-io")
    io = run(tree.read("python/caffe/io.py"), np=np, skimage=reader)
    array = np.arange(15, dtype=np.uint8).reshape(3, 5)
    again = io["to_array"](io["to_datum"](array))
    assert (again == array).all()
    again[0, 0] = 7  # as fromstring's, it can be written to
    io["load"]("owl.png", color=False)
    assert asked == {"as_gray": True}


def test_model_libs_runs_and_its_pads_are_whole(tmp_path: Path) -> None:
    tree = patched(tmp_path, {"python/caffe/model_libs.py": MODEL_LIBS}, "python-model-libs")
    libs = run(tree.read("python/caffe/model_libs.py"))
    assert libs["Unpack"]("gull", 3) == ["gull"] * 3
    pad = libs["Pad"](3, 2)
    assert (pad, type(pad)) == (2, int)


@pytest.mark.parametrize("stamp", ["I1107", "I20261107"])
def test_logs_with_and_without_a_year_have_their_day(tmp_path: Path, stamp: str) -> None:
    path = "tools/extra/extract_seconds.py"
    extract = run(patched(tmp_path, {path: SECONDS}, "python-log-year").read(path))["extract"]
    assert extract(f"{stamp} 13:39:22.381027 25210 solver.cpp:204] Iteration 100", 2026) == datetime(
        2026, 11, 7
    )


def test_ssd_scripts_divide_counts_only(tmp_path: Path) -> None:
    path = "examples/ssd/ssd_birds.py"
    tree = patched(tmp_path, dict(SSD) | {path: SSD_SCRIPT}, "python-ssd-scripts", "python-names")
    script = run(tree.read(path))
    assert (script["iter_size"], script["test_iter"], script["step"]) == (6, 619, 14.0)
    assert type(script["iter_size"]) is int
    assert script["ratios"] == [20, 55]


@pytest.mark.parametrize(
    "text",
    [
        "from six.moves import xrange\nfor i in xrange(3): pass\n",
        "xrange = range\nfor i in xrange(3): pass\n",
        "from six import iteritems\nfor k, v in iteritems(d): pass\n",
    ],
)
def test_names_that_a_script_has_itself_are_kept(tmp_path: Path, text: str) -> None:
    assert patched(tmp_path, {"scripts/lint.py": text}, "python-names").read("scripts/lint.py") == text


def test_scripts_in_every_folder_lose_their_statements(tmp_path: Path) -> None:
    paths = [
        "tools/extra/parse_log.py", "tools/extra/plot.py.example", "scripts/create.py", "data/coco/list.py",
        "examples/ssd/detect.py", "src/caffe/test/test_data/generate.py",
    ]  # fmt: skip
    tree = patched(tmp_path, dict.fromkeys(paths, "print 'owl'\n"), "python-print")
    assert {tree.read(path) for path in paths} == {"print('owl')\n"}


def test_the_scripts_for_summaries_and_downloads_use_what_is_there(tmp_path: Path) -> None:
    files = {
        "tools/extra/summarize.py": (
            "from google import protobuf\nprotobuf.text_format.Parse(a, b)\n        names = map(name_of, layer.param)\n"
        ),
        "scripts/download_model_binary.py": "import urllib\nyaml.load(text)\nurllib.urlretrieve(url, name)\n",
    }
    tree = patched(tmp_path, files, "python-summarize", "python-download")
    assert tree.read("tools/extra/summarize.py") == (
        "from google.protobuf import text_format\ntext_format.Parse(a, b)\n"
        "        names = [name_of(param) for param in layer.param]\n"
    )
    assert tree.read("scripts/download_model_binary.py") == (
        "import urllib.request\nyaml.safe_load(text)\nurllib.request.urlretrieve(url, name)\n"
    )


def test_python_patches_of_files_that_are_not_there_are_not_needed(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, BARE))
    states = {state.id: state.state for state in status(tree) if state.group == "python"}
    assert states.pop("python-print") == states.pop("python-names") == "done"
    assert set(states.values()) == {"not needed"}

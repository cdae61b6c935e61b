"""`import caffe` means caffeflow's where the runner says so, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caffeflow import system

_SCRIPT = """
import sys
import caffe, caffe.io
import caffe.proto.caffe_pb2 as by_place
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from caffe.coord_map import crop
import caffeflow.pycaffe as real
import beside
assert caffe is real and caffe.io is real.io and caffe.__spec__.name == "caffeflow.pycaffe"
assert caffe_pb2 is by_place and by_place.NetParameter is type(caffe.NetSpec().to_proto())
try:
    import caffe.nothing
except ImportError as error:
    print(error)
print(__name__, sys.argv[1:], beside.WORD)
sys.exit(3)
"""


def run(*arguments: str | Path, cwd: Path) -> tuple[int, str]:
    done = system.run([sys.executable, "-m", "caffeflow.pycaffe", *map(str, arguments)], cwd=cwd)
    return done.returncode, done.output


def test_script_runs_with_its_arguments_and_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "script.py").write_text(_SCRIPT)
    (folder / "beside.py").write_text("WORD = 'found'\n")
    code, output = run("scripts/script.py", "one", "--two", cwd=tmp_path)
    assert code == 3, output
    assert output.splitlines() == ["No module named 'caffe.nothing'", "__main__ ['one', '--two'] found"]


def test_modules_run_too(tmp_path: Path) -> None:
    (tmp_path / "own_tests.py").write_text(
        "import unittest\nimport caffe\nclass T(unittest.TestCase):\n"
        "    def test_it(self):\n        self.assertEqual(caffe.TEST, 1)\n"
    )
    code, output = run("-m", "unittest", "own_tests", cwd=tmp_path)
    assert code == 0, output
    assert "Ran 1 test" in output


@pytest.mark.parametrize(("words", "code"), [((), 2), (("--help",), 0), (("none.py",), 2), (("-m",), 2)])
def test_without_a_script_the_usage_is_shown(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    found, output = run(*words, cwd=tmp_path)
    assert (found, "usage: python -m caffeflow.pycaffe" in output) == (code, True)
    assert ("import caffe" in output) == (words == ("--help",))


def test_another_caffe_that_is_loaded_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "caffe.py").write_text("")
    (tmp_path / "script.py").write_text(
        "import sys; sys.path.insert(0, '.')\nimport caffe\n"
        "from caffeflow.pycaffe import alias\nalias.install()\n"
    )
    done = system.run([sys.executable, "script.py"], cwd=tmp_path)
    assert done.returncode == 1
    assert "another caffe is loaded already, from" in done.output

"""Python 3, and today's numpy, scikit-image and PyYAML: pycaffe, SSD's nets, and the scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from caffeflow.native.patches.patch import FileEdit, Patch, rewrite
from caffeflow.native.patches.print_statements import has_statements, rewrite_statements
from caffeflow.native.tree import Tree

_IO: Final = "python/caffe/io.py"
_MODEL_LIBS: Final = "python/caffe/model_libs.py"
_SECONDS: Final = "tools/extra/extract_seconds.py"
_SUMMARIZE: Final = "tools/extra/summarize.py"
_DOWNLOAD: Final = "scripts/download_model_binary.py"
_SCRIPTS: Final = (
    "tools/extra/*.py", "tools/extra/*.py.example", "scripts/*.py", "data/**/*.py", "examples/**/*.py",
    "src/caffe/test/test_data/*.py",
)  # fmt: skip
_RENAMED: Final = {
    "xrange": (r"\bxrange\(", "range("),
    "iteritems": (r"\.iteritems\(\)", ".items()"),
    "itervalues": (r"\.itervalues\(\)", ".values()"),
}


def _rename(text: str) -> str:
    """Returns a text with Python 2's names replaced, but for those that it takes from six."""
    for name, (pattern, modern) in _RENAMED.items():
        if not re.search(rf"^\s*(?:from six\S* import .*\b{name}\b|{name}\s*=)", text, re.MULTILINE):
            text = re.sub(pattern, modern, text)
    return text


def _rename_in(path: str) -> FileEdit:
    return FileEdit(path=path, needs=lambda text: _rename(text) != text, edit=_rename)


def _print_in(path: str) -> FileEdit:
    return FileEdit(path=path, needs=has_statements, edit=rewrite_statements)


def _has(path: str) -> Callable[[Tree], bool]:
    return lambda tree: tree.has(path)


PYTHON_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="python-image-io",
        group="python",
        reason="scikit-image has no as_grey, and numpy no tostring and fromstring any more: caffe.io dies.",
        edits=(
            rewrite(_IO, r"\bas_grey=", "as_gray="),
            rewrite(_IO, r"\.tostring\(\)", ".tobytes()"),
            # Over a bytearray the array can be written to, as before; over bytes it could not.
            rewrite(_IO, r"\bnp\.fromstring\(([\w.]+)\s*,", r"np.frombuffer(bytearray(\1),"),
        ),
        applies=_has(_IO),
    ),
    Patch(
        id="python-model-libs",
        group="python",
        reason="SSD's model_libs.py stops in Python 3: xrange, a pad that is a float, assert len > 0.",
        edits=(
            _rename_in(_MODEL_LIBS),
            rewrite(_MODEL_LIBS, r"^(\s*pad = int\(.*\)) / 2[ \t]*$", r"\1 // 2"),
            rewrite(_MODEL_LIBS, r"^(\s*)assert len > 0\b", r"\1assert num > 0"),
        ),
        applies=_has(_MODEL_LIBS),
    ),
    Patch(
        id="python-ssd-scripts",
        group="python",
        reason="SSD's scripts divide counts with /, which in Python 3 gives floats that the solver refuses.",
        edits=(
            rewrite("examples/ssd/*.py", r"^(\s*(?:iter_size|test_iter) = \w+) / (\w+)[ \t]*$", r"\1 // \2"),
        ),
        applies=_has("examples/ssd"),
    ),
    Patch(
        id="python-print",
        group="python",
        reason="Scripts with print and except statements of Python 2 do not load in Python 3.",
        edits=tuple(_print_in(path) for path in _SCRIPTS),
    ),
    Patch(
        id="python-names",
        group="python",
        reason="Scripts use xrange, iteritems and lists of keys as Python 2 has them.",
        edits=(
            *(_rename_in(path) for path in _SCRIPTS),
            rewrite("tools/extra/*", r"(?<![\w.(])(\w+)\.keys\(\)\[", r"list(\1.keys())["),
        ),
    ),
    Patch(
        id="python-log-year",
        group="python",
        reason="glog 0.6 and later can write the year before month and day, which the log scripts misread.",
        edits=(
            rewrite(_SECONDS, r"int\(line\[0\]\[1:3\]\)", "int(line[0][-4:-2])"),
            rewrite(_SECONDS, r"int\(line\[0\]\[3:\]\)", "int(line[0][-2:])"),
        ),
        applies=_has(_SECONDS),
    ),
    Patch(
        id="python-summarize",
        group="python",
        reason="summarize.py relies on protobuf importing its text format, and on map giving a list.",
        edits=(
            rewrite(_SUMMARIZE, r"^from google import protobuf$", "from google.protobuf import text_format"),
            rewrite(_SUMMARIZE, r"\bprotobuf\.text_format\.", "text_format."),
            rewrite(_SUMMARIZE, r"= map\((\w+), ([\w.]+)\)$", r"= [\1(param) for param in \2]"),
        ),
        applies=_has(_SUMMARIZE),
    ),
    Patch(
        id="python-download",
        group="python",
        reason="PyYAML 6 refuses load without a loader, and Python 3 has urlretrieve elsewhere.",
        edits=(
            rewrite(_DOWNLOAD, r"\byaml\.load\(", "yaml.safe_load("),
            rewrite(_DOWNLOAD, r"^import urllib$", "import urllib.request"),
            rewrite(_DOWNLOAD, r"\burllib\.urlretrieve\(", "urllib.request.urlretrieve("),
        ),
        applies=_has(_DOWNLOAD),
    ),
)

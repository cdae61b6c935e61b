"""`python -m caffeflow.pycaffe script.py …` runs a script whose `import caffe` means caffeflow's.

`python -m caffeflow.pycaffe -m module …` runs a module so, such as `-m unittest caffe_tests`. The script
sees its own name and arguments in `sys.argv`, and its folder first in `sys.path`, as with `python` alone.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Final

from caffeflow.pycaffe import alias

USAGE: Final = "usage: python -m caffeflow.pycaffe SCRIPT.py [ARGUMENT …]  |  -m MODULE [ARGUMENT …]"
HELP: Final = f"""{USAGE}

Runs a script, or a module as `python -m` does, whose `import caffe` means caffeflow's: pycaffe's API on the
embedded engine. No Caffe is needed; one that is installed is not looked at.

Example: python -m caffeflow.pycaffe -m unittest my_caffe_tests
"""


def main(arguments: list[str]) -> None:
    """Runs the script or the module that the arguments name.

    Raises:
        SystemExit: They name none; or the script ends so.
    """
    is_module = arguments[:1] == ["-m"]
    words = arguments[1:] if is_module else arguments
    if words[:1] in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        raise SystemExit(0)
    if not words or words[0].startswith("-"):
        sys.stderr.write(f"{USAGE}\n")
        raise SystemExit(2)
    alias.install()
    sys.argv = list(words)
    if is_module:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        return
    if not Path(words[0]).exists():
        sys.stderr.write(f"{words[0]}: there is no such script; {USAGE}\n")
        raise SystemExit(2)
    sys.path[0] = str(Path(words[0]).resolve().parent)
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])

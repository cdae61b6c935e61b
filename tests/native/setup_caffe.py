"""Puts Debian 11's Caffe into the cache, once: the oracle of the native tests and of the benchmarks.

    python tests/native/setup_caffe.py

It is built in a temporary folder and renamed when it runs, so a folder with a marker is complete. A
machine that cannot have it (no root, no debootstrap, no Debian mirror) is no error: one line says
why, and the native tests are passed over with that reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from caffeflow import system
from tests.support.native import CACHE, MARKER, REASON, SUITE, NativeCaffe, environment
from tests.support.native_setup import (
    LOG,
    CannotHaveItError,
    alone,
    find_program,
    install_package,
    logged,
    mirrors,
    say,
)

PACKAGES: Final = ("caffe", "python3-caffe", "libopenblas0-pthread")
PROGRAMS: Final = ("caffe", "convert_imageset", "compute_image_mean")


def main() -> int:
    """Sets the tree up if it is not there; returns 0 also where it cannot be had."""
    parser = argparse.ArgumentParser(description="Set up Debian 11's Caffe in the cache.")
    parser.add_argument("--force", action="store_true", help="make it anew")
    force = parser.parse_args().force
    with alone(SUITE):
        caffe = NativeCaffe(CACHE / SUITE)
        if force or not (caffe.tree / MARKER).is_file():
            try:
                _make(caffe.tree)
            except CannotHaveItError as error:
                REASON.write_text(f"{error}\n")
                say(f"native tests will be PASSED OVER: no real Caffe here: {error}")
                return 0
        REASON.unlink(missing_ok=True)
        say(f"real Caffe: {caffe.tool('caffe')} ({caffe.facts()['packages']['caffe']})")
    return 0


def _make(tree: Path) -> None:
    if os.geteuid() != 0:
        raise CannotHaveItError("setting it up needs root (debootstrap)")
    LOG.write_text("")
    say(f"setting up Debian 11's Caffe in {tree} (about 90 s and 0.8 GB; log: {LOG})")
    start = time.monotonic()
    new = Path(tempfile.mkdtemp(prefix=f"{SUITE}.unfinished-", dir=CACHE))
    try:
        new.chmod(0o755)
        _bootstrap(new)
        _install(new)
        _write_starters(new)
        facts = _check(NativeCaffe(new))
        (new / MARKER).write_text(json.dumps(facts, indent=2) + "\n")
        _replace(tree, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    say(f"done in {time.monotonic() - start:.0f} s")


def _bootstrap(tree: Path) -> None:
    program = _debootstrap()
    given = mirrors()
    for mirror in given:
        # ca-certificates: apt inside the tree must be able to read an https mirror, too.
        words = ["--variant=minbase", "--include=ca-certificates", SUITE, str(tree), mirror]
        if logged([program, *words]):
            return
        shutil.rmtree(tree)
        tree.mkdir(mode=0o755)
    raise CannotHaveItError(f"debootstrap failed with each of {len(given)} mirror(s) of /etc/apt; see {LOG}")


def _debootstrap() -> str:
    if not find_program("debootstrap"):
        install_package("debootstrap")
    program = find_program("debootstrap")
    if not program:
        raise CannotHaveItError(f"debootstrap is missing and could not be installed; see {LOG}")
    return program


def _install(tree: Path) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    inside = ["chroot", str(tree), "env", *(f"{name}={value}" for name, value in quiet.items()), "apt-get"]
    install = [*inside, "install", "--yes", "--no-install-recommends", *PACKAGES]
    if not logged([*inside, "update"]) or not logged(install):
        raise CannotHaveItError(
            f"apt-get inside the new tree could not install {', '.join(PACKAGES)}; see {LOG}"
        )
    logged([*inside, "clean"])
    shutil.rmtree(tree / "var/lib/apt/lists", ignore_errors=True)


def _write_starters(tree: Path) -> None:
    """Writes `tools/<program>`: plain programs to whoever starts them, wherever the tree lies."""
    loader = next((tree / "usr/lib").glob("*/ld-2.*.so")).relative_to(tree)
    folder = tree / "tools"
    folder.mkdir()
    for name in (*PROGRAMS, "python"):
        program = "usr/bin/" + ("python3.9" if name == "python" else name)
        home = 'export PYTHONHOME="$tree/usr" PYTHONDONTWRITEBYTECODE=1\n' if name == "python" else ""
        (folder / name).write_text(_STARTER.format(
            lib=loader.parent, loader=loader, program=program, home=home,
        ))  # fmt: skip
        (folder / name).chmod(0o755)


_STARTER: Final = """\
#!/bin/sh
# Runs Debian 11's program with Debian 11's loader and libraries; OpenBLAS before any other BLAS.
tree=$(dirname "$(dirname "$(readlink -f "$0")")")
lib="$tree/{lib}"
export GLOG_log_dir="${{GLOG_log_dir:-${{TMPDIR:-/tmp}}}}"
{home}exec "$tree/{loader}" --inhibit-cache \\
  --library-path "$lib/openblas-pthread:$lib/blas:$lib/lapack:$lib:$tree/usr/lib" "$tree/{program}" "$@"
"""


def _check(caffe: NativeCaffe) -> dict[str, object]:
    done = system.run([caffe.tool("caffe"), "--version"], env=environment(threads=1))
    if done.returncode != 0:
        raise CannotHaveItError(f"the installed caffe does not start: {done.output.strip()}")
    code = "import caffe; print(*caffe.layer_type_list())"
    types = system.run([caffe.tool("python"), "-c", code], env=environment(threads=1))
    if types.returncode != 0:
        raise CannotHaveItError(f"the installed python3-caffe does not start: {types.output.strip()}")
    query = ["dpkg-query", f"--admindir={caffe.tree}/var/lib/dpkg", "--showformat=${Package} ${Version}\\n"]
    packages = dict(line.split(" ") for line in system.run([*query, "--show", *PACKAGES]).output.splitlines())
    return {"suite": SUITE, "packages": packages, "layer_types": types.output.split()}


def _replace(tree: Path, new: Path) -> None:
    if tree.exists():
        old = Path(tempfile.mkdtemp(prefix=f"{SUITE}.old-", dir=CACHE))
        tree.rename(old)
        shutil.rmtree(old)
    new.rename(tree)


if __name__ == "__main__":
    sys.exit(main())

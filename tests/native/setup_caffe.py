"""Puts Debian 11's Caffe into the cache, once: the oracle of the native tests and of the benchmarks.

    python tests/native/setup_caffe.py

It is built in a temporary folder and renamed when it runs, so a folder with a marker is complete. A
machine that cannot have it (no root, no debootstrap, no Debian mirror) is no error: one line says
why, and the native tests are passed over with that reason.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caffeflow import system
from tests.support.native import CACHE, MARKER, REASON, SUITE, NativeCaffe, environment

PACKAGES: Final = ("caffe", "python3-caffe", "libopenblas0-pthread")
PROGRAMS: Final = ("caffe", "convert_imageset", "compute_image_mean")
LOG: Final = CACHE / "setup.log"


class CannotHaveItError(Exception):
    """This machine cannot have Debian 11's Caffe; the text says why."""


def main() -> int:
    """Sets the tree up if it is not there; returns 0 also where it cannot be had."""
    parser = argparse.ArgumentParser(description="Set up Debian 11's Caffe in the cache.")
    parser.add_argument("--force", action="store_true", help="make it anew")
    force = parser.parse_args().force
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone():
        caffe = NativeCaffe(CACHE / SUITE)
        if force or not (caffe.tree / MARKER).is_file():
            try:
                _make(caffe.tree)
            except CannotHaveItError as error:
                REASON.write_text(f"{error}\n")
                _say(f"native tests will be PASSED OVER: no real Caffe here: {error}")
                return 0
        REASON.unlink(missing_ok=True)
        _say(f"real Caffe: {caffe.tool('caffe')} ({caffe.facts()['packages']['caffe']})")
    return 0


def _make(tree: Path) -> None:
    if os.geteuid() != 0:
        raise CannotHaveItError("setting it up needs root (debootstrap)")
    LOG.write_text("")
    _say(f"setting up Debian 11's Caffe in {tree} (about 90 s and 0.8 GB; log: {LOG})")
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
    _say(f"done in {time.monotonic() - start:.0f} s")


def _bootstrap(tree: Path) -> None:
    program = _debootstrap()
    mirrors = list(dict.fromkeys(_mirrors()))
    if not mirrors:
        raise CannotHaveItError("/etc/apt names no Debian mirror")
    for mirror in mirrors:
        # ca-certificates: apt inside the tree must be able to read an https mirror, too.
        words = ["--variant=minbase", "--include=ca-certificates", SUITE, str(tree), mirror]
        if _logged([program, *words]):
            return
        shutil.rmtree(tree)
        tree.mkdir(mode=0o755)
    raise CannotHaveItError(
        f"debootstrap failed with each of {len(mirrors)} mirror(s) of /etc/apt; see {LOG}"
    )


def _debootstrap() -> str:
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if not shutil.which("debootstrap", path=search):
        apt = shutil.which("apt-get", path=search)
        if not apt:
            raise CannotHaveItError("there is no debootstrap, and no apt-get to install it")
        _logged([apt, "update"])
        _logged([apt, "install", "--yes", "--no-install-recommends", "debootstrap"])
    program = shutil.which("debootstrap", path=search)
    if not program:
        raise CannotHaveItError(f"debootstrap is missing and could not be installed; see {LOG}")
    return program


def _mirrors() -> Iterator[str]:
    """Yields the addresses that this machine's apt gets Debian's packages from."""
    for path in sorted([Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]):
        for line in path.read_text().splitlines() if path.is_file() else ():
            words = line.split()
            addresses: Sequence[str] = ()
            if path.suffix == ".sources" and words[:1] == ["URIs:"]:
                addresses = words[1:]
            elif path.suffix == ".list" and words[:1] == ["deb"]:
                addresses = [word for word in words if "://" in word]
            for address in addresses:
                yield from _complete_archives(address)


def _complete_archives(address: str) -> Iterator[str]:
    """Yields an address of Debian's main archive; security and other people's have no complete suite."""
    if address.startswith("mirror+file:"):  # cloud images keep a list of their own
        for line in Path(address.removeprefix("mirror+file:")).read_text().splitlines():
            for given in line.split()[:1]:
                yield from _complete_archives(given)
    elif (name := address.rstrip("/").rsplit("/", 1)[-1]).startswith("debian") and "security" not in name:
        yield address


def _install(tree: Path) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    inside = ["chroot", str(tree), "env", *(f"{name}={value}" for name, value in quiet.items()), "apt-get"]
    install = [*inside, "install", "--yes", "--no-install-recommends", *PACKAGES]
    if not _logged([*inside, "update"]) or not _logged(install):
        raise CannotHaveItError(
            f"apt-get inside the new tree could not install {', '.join(PACKAGES)}; see {LOG}"
        )
    _logged([*inside, "clean"])
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


@contextmanager
def _alone() -> Iterator[None]:
    """Waits until no other process sets the tree up."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in CACHE.glob(f"{SUITE}.*-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _logged(command: Sequence[str]) -> bool:
    """Runs a command with its output going to the log, and returns whether it succeeded."""
    started = []
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        try:
            code = system.follow(command, lambda line: print(line, file=log), on_start=started.append)
        finally:  # Ctrl-C reaches this process alone
            for process in started:
                process.kill()
        log.write(f"exit code {code}\n")
    return code == 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

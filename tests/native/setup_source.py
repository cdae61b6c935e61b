"""Puts Debian 11's source package of Caffe into the cache, once: a real tree for the patches.

    python -m tests.native.setup_source

apt fetches it with a source entry of its own, into folders of its own; this machine's lists stay as they
are, and root is not needed. A machine that cannot have it is no error: one line says why, and the tests
that want it are passed over with that reason.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.native import CACHE, SOURCE, SOURCE_REASON, SUITE
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

PACKAGE: Final = "caffe"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def main() -> int:
    """Fetches the tree if it is not there; returns 0 also where it cannot be had."""
    with alone(SOURCE.name):
        if not SOURCE.is_dir():
            try:
                _make()
            except CannotHaveItError as error:
                SOURCE_REASON.write_text(f"{error}\n")
                say(f"tests on Debian's source package will be PASSED OVER: {error}")
                return 0
        SOURCE_REASON.unlink(missing_ok=True)
        say(f"Debian's source package of Caffe: {SOURCE}")
    return 0


def _make() -> None:
    apt = find_program("apt-get")
    if not apt:
        raise CannotHaveItError("there is no apt-get")
    if not find_program("dpkg-source"):
        install_package("dpkg-dev")
    given = mirrors()
    with tempfile.TemporaryDirectory(prefix=f"{SOURCE.name}.unfinished-", dir=CACHE) as name:
        folder = Path(name)
        for mirror in given:
            if _fetch(apt, mirror, folder):
                tree = next(each for each in folder.glob(f"{PACKAGE}-*") if each.is_dir())
                tree.rename(SOURCE)
                return
    raise CannotHaveItError(
        f"apt-get source failed with each of {len(given)} mirror(s) of /etc/apt; see {LOG}"
    )


def _fetch(apt: str, mirror: str, folder: Path) -> bool:
    """Fetches and unpacks the package with Debian's own changes; returns whether it did."""
    for old in folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.is_file() else ""
    (folder / "sources.list").write_text(f"deb-src {signed}{mirror} {SUITE} main contrib\n")
    command = [apt, *_options(folder)]
    return logged([*command, "update"], cwd=folder) and logged([*command, "source", PACKAGE], cwd=folder)


def _options(folder: Path) -> Sequence[str]:
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",  # the folder is only its owner's to read
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


if __name__ == "__main__":
    sys.exit(main())

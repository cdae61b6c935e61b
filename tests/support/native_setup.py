"""What setting up an oracle of the native tests needs: Debian's mirrors as apt knows them, a log, a lock."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caffeflow import system
from tests.support.native import CACHE

LOG: Final = CACHE / "setup.log"


class CannotHaveItError(Exception):
    """This machine cannot have it; the text says why."""


def find_program(name: str) -> str | None:
    """Returns where a program is, those of the administrator included."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def install_package(name: str) -> None:
    """Lets apt install a package; whether it did shows when it is looked for.

    Raises:
        CannotHaveItError: There is no apt.
    """
    apt = find_program("apt-get")
    if not apt:
        raise CannotHaveItError(f"there is no {name}, and no apt-get to install it")
    logged([apt, "update"])
    logged([apt, "install", "--yes", "--no-install-recommends", name])


def mirrors() -> list[str]:
    """Returns the addresses that this machine's apt gets Debian's packages from.

    Raises:
        CannotHaveItError: There is none.
    """
    found = list(dict.fromkeys(_mirrors()))
    if not found:
        raise CannotHaveItError("/etc/apt names no Debian mirror")
    return found


def _mirrors() -> Iterator[str]:
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


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Waits until no other process sets something up, and clears away what stopped ones left of `name`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in CACHE.glob(f"{name}.*-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def logged(command: Sequence[str], *, cwd: Path | None = None) -> bool:
    """Runs a command with its output going to the log, and returns whether it succeeded."""
    started = []
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        try:
            code = system.follow(
                command, lambda line: print(line, file=log), cwd=cwd, on_start=started.append
            )
        finally:  # Ctrl-C reaches this process alone
            for process in started:
                process.kill()
        log.write(f"exit code {code}\n")
    return code == 0


def say(line: str) -> None:
    """Tells whoever runs the set-up."""
    print(line, file=sys.stderr, flush=True)

"""Every test has its own home and working folder, fixed seeds, and no network."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def own_surroundings(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Gives a test its own HOME and working folder, and fixed seeds."""
    random.seed(0)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAFFEFLOW_DATA", raising=False)
    monkeypatch.delenv("CAFFEFLOW_ZOO", raising=False)
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    if request.node.get_closest_marker("native") is None:  # the real Caffe lies in the user's cache
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets tests talk to this machine only."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        assert host in ("127.0.0.1", "::1", "localhost", "local"), f"a test reached out to {host}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Runs a test with one thread of torch: fast where processes share cores, and sums come out the same."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)  # the sums of other tests are those of more

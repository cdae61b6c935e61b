"""The native tests' common ground: the real Caffe, and the figures that they report.

Without a set-up Caffe every test here is passed over, with the reason; `make test-native` sets it up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.fidelity import FidelityPage, Keep, write_page
from tests.support.native import (
    SSD_TREE,
    NativeCaffe,
    Report,
    find_native_caffe,
    find_ssd_caffe,
    why_missing,
)

_FIGURES: dict[str, str] = {}
_PAGE = FidelityPage()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that `make fidelity` gives."""
    parser.addoption(
        "--fidelity", metavar="FILE", help="write the figures of the drawn comparisons into FILE"
    )


@pytest.fixture(scope="session")
def caffe() -> NativeCaffe:
    """The real Caffe."""
    found = find_native_caffe()
    if found is None:
        pytest.skip(why_missing())
    return found


@pytest.fixture(scope="session")
def ssd_caffe() -> NativeCaffe:
    """A build of Caffe's SSD fork, which no package holds: the user's own."""
    found = find_ssd_caffe()
    if found is None:
        pytest.skip(
            f"no build of the SSD fork: {SSD_TREE} names none (a built tree, or a folder with tools/caffe)"
        )
    return found


@pytest.fixture(scope="session")
def report() -> Report:
    """Keeps a figure under a name for the summary at the end."""

    def keep(name: str, figure: str) -> None:
        _FIGURES[name] = figure

    return keep


@pytest.fixture(scope="session")
def fidelity() -> Keep:
    """Keeps a row of the fidelity page: section, key, cells."""
    return _PAGE.keep


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes the fidelity page where that is asked for, if everything agreed."""
    path = session.config.getoption("--fidelity", default=None)
    if path is not None and exitstatus == 0:
        write_page(Path(session.config.invocation_params.dir, path), _PAGE)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Shows the figures."""
    if not _FIGURES:
        return
    terminalreporter.section("figures against the real Caffe")
    width = max(map(len, _FIGURES))
    for name, figure in sorted(_FIGURES.items()):
        terminalreporter.write_line(f"{name:<{width}}  {figure}")

"""The fidelity page comes back from its file, and a run that compared a part leaves the rest alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fidelity import SECTIONS, FidelityPage, read_page, write_page


def test_page_comes_back_from_its_file(tmp_path: Path) -> None:
    page = FidelityPage()
    page.keep("Solvers", "SGD", {"weights": "1e-6"})
    page.keep("Layer types", "Tile", {"tops": "0", "bottom diffs": "2e-7"})
    page.keep("Layer types", "Split", {"tops": "0", "param diffs": "1e-7"})
    write_page(tmp_path / "page.md", page)
    assert read_page(tmp_path / "page.md") == page
    text = (tmp_path / "page.md").read_text()
    assert text.index("## Layer types\n") < text.index("## Solvers\n")
    assert "| Split | 0 |  | 1e-7 |" in text


def test_sections_without_rows_stay_as_they_stand(tmp_path: Path) -> None:
    for section, key in (("Random nets", "deep"), ("Solvers", "SGD"), ("Solvers", "Adam")):
        page = FidelityPage()
        page.keep(section, key, {"worst": "1e-6"})
        write_page(tmp_path / "page.md", page)
    rows = read_page(tmp_path / "page.md").rows
    assert {section: list(kept) for section, kept in rows.items()} == {
        "Random nets": ["deep"],
        "Solvers": ["Adam"],
    }


def test_only_known_sections_and_plain_cells_are_kept() -> None:
    assert len({section.title for section in SECTIONS}) == len(SECTIONS)
    with pytest.raises(AssertionError, match="no section 'Elsewhere'"):
        FidelityPage().keep("Elsewhere", "SGD", {})
    with pytest.raises(AssertionError, match="without bars"):
        FidelityPage().keep("Solvers", "SGD", {"weights": "1|2"})

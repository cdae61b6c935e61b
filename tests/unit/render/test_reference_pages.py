"""The pages made from the catalogue are up to date."""

from __future__ import annotations

from pathlib import Path

from caffeflow import resources
from caffeflow.render.reference import nets_page, readme_with_macros

ROOT = Path(__file__).resolve().parents[3]


def test_docs_nets_is_what_the_catalogue_says() -> None:
    assert (ROOT / "docs" / "nets.md").read_text() == nets_page(), "run: make docs"


def test_the_templates_readme_lists_every_macro() -> None:
    text = (resources.templates_dir() / "README.md").read_text()
    assert text == readme_with_macros(text), "run: make docs"
    blocks = "".join(path.read_text() for path in resources.templates_dir().glob("blocks/*.j2"))
    assert text.count("\n* `") - text.count("\n* `for`") >= blocks.count("{% macro ")

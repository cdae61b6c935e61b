"""The pages that come from tables are fresh, and the hand-written ones name commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from caffeflow.cli.main import COMMANDS, cli
from docs.generate import PAGES, stale_pages

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = sorted({*ROOT.glob("docs/*.md"), ROOT / "README.md"} - set(PAGES))


def test_generated_pages_are_fresh() -> None:
    assert len(PAGES) == 7
    assert stale_pages() == [], "run: make docs"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_and_options_in_the_pages_exist(page: Path) -> None:
    for line in re.findall(r"caffeflow [^`\n#|]+", page.read_text()):
        words = line.split()[1:]
        if not words or words[0] not in COMMANDS:
            continue
        command = cli.get_command(click.Context(cli), words[0])
        if isinstance(command, click.Group) and len(words) > 1 and words[1] in command.commands:
            command = command.commands[words[1]]
        known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        used = {word.rstrip(",.;:)") for word in words if word.startswith("--")}
        assert used <= known | {"--help"}, f"{page.name}: {line}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        linked = {
            (page.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        }
        waiting += [path for path in linked - reached if path.suffix == ".md" and path.is_file()]
    pages = set(ROOT.glob("docs/*.md"))
    assert len(pages) > 20
    assert pages - reached == set()


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

"""Part `start`: how long a user waits for commands that have hardly anything to do."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.measure import caffeflow, run_process, take_turns
from benchmarks.page import Goal, Row, Section, Settings

TITLE: Final = "start: short commands"
_COMMANDS: Final = {
    "--help": Goal(at_most=0.3),
    "render lenet --dry-run": Goal(at_most=0.6),
    "render resnet50": Goal(at_most=0.6),
}
_LEAST_REPEATS: Final = 10


def measure(settings: Settings) -> Section:
    """Measures whole processes, ten times at least."""
    sides = {words: partial(_seconds, words, settings) for words in _COMMANDS}
    repeats = settings.repeats if settings.is_quick else max(settings.repeats, _LEAST_REPEATS)
    samples = take_turns(sides, repeats=repeats)
    rows = [
        Row(what=f"caffeflow {words}", ours=samples[words].show("s"), value=samples[words].median, goal=goal)
        for words, goal in _COMMANDS.items()
    ]
    notes = [f"Whole processes, {repeats} of each; the first one is among them, so the largest may be cold."]
    return Section(title=TITLE, value_is="seconds", rows=rows, notes=notes)


def _seconds(words: str, settings: Settings) -> float:
    # Into the scratch folder, over what the last measurement wrote there.
    more = ["--out", settings.scratch / "start", "--force"] if words == "render resnet50" else []
    return run_process(caffeflow(*words.split(), *more), cwd=settings.scratch).seconds

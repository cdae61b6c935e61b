"""The rules that templates/README.md states: macros, variables, and what a template may read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from jinja2 import meta, nodes

from caffeflow import resources
from caffeflow.render.catalog import find_net, net_names
from caffeflow.render.environment import environment

TEMPLATES = resources.templates_dir()
BLOCKS = sorted(TEMPLATES.glob("blocks/*.j2"))
NETS = sorted(TEMPLATES.glob("nets/*.j2"))
OTHERS = sorted(TEMPLATES.glob("s*/*.j2"))  # solvers and scripts
GROUPS = ("net", "data", "solver")
# Macros that make a part of a layer, a comment or a number, not layers.
FRAGMENTS = {
    "header", "filler", "learning", "transform", "unactivated", "resizing", "augmentation", "samplers",
    "rates", "update_rule", "divisible", "halved", "prior_size", "prior_count", "between", "whole_step",
}  # fmt: skip
# Layers that nothing feeds.
SOURCES = {
    "inputs", "lmdb_data", "image_list_data", "deploy_input", "detection_inputs", "net_input", "annotated_data",
}  # fmt: skip
MAX_MACRO_LINES = 40


def tree(path: Path) -> nodes.Template:
    return environment().parse(path.read_text())


def macros(path: Path) -> Iterator[tuple[nodes.Macro, str]]:
    """Yields the macros of a file, each with its lines."""
    lines = path.read_text().splitlines()
    for macro in tree(path).find_all(nodes.Macro):
        end = next(i for i, line in enumerate(lines[macro.lineno - 1 :], macro.lineno) if "endmacro" in line)
        yield macro, "\n".join(lines[macro.lineno - 1 : end])


ALL_MACROS = [(path, macro, text) for path in BLOCKS for macro, text in macros(path)]


def test_there_are_templates() -> None:
    assert (len(BLOCKS), len(NETS), len(OTHERS)) == (15, 12, 5)
    assert len(ALL_MACROS) == 62


@pytest.mark.parametrize(
    ("path", "macro", "text"), ALL_MACROS, ids=[macro.name for _, macro, _ in ALL_MACROS]
)
class TestMacros:
    def test_starts_with_name_and_bottom(self, path: Path, macro: nodes.Macro, text: str) -> None:
        arguments = [argument.name for argument in macro.args]
        if macro.name in FRAGMENTS:
            assert "layer {" not in text
        elif macro.name in SOURCES:
            assert arguments[0] == "name"
        else:
            assert arguments[:2] == ["name", "bottom"]

    def test_is_described_above_with_its_arguments(self, path: Path, macro: nodes.Macro, text: str) -> None:
        above = path.read_text().split(f"{{% macro {macro.name}(")[0]
        comment = above[above.rindex("{#-") :]
        assert comment.rstrip().endswith("-#}"), "the comment stands right above the macro"
        described = re.match(rf"\{{#- {macro.name}\(([^)]*)\):", comment)
        assert described, comment
        named = [word.strip() for word in described[1].split(",")]
        assert named == [argument.name for argument in macro.args]

    def test_is_short(self, path: Path, macro: nodes.Macro, text: str) -> None:
        assert len(text.splitlines()) <= MAX_MACRO_LINES


@pytest.mark.parametrize("path", BLOCKS, ids=lambda path: path.stem)
def test_blocks_read_no_global_variable(path: Path) -> None:
    assert meta.find_undeclared_variables(tree(path)) == set()


@pytest.mark.parametrize("path", [*BLOCKS, *NETS], ids=lambda path: path.name)
def test_macros_are_called_with_keywords_after_name_and_bottom(path: Path) -> None:
    known = {macro.name for _, macro, _ in ALL_MACROS} - FRAGMENTS
    calls = [call for call in tree(path).find_all(nodes.Call) if isinstance(call.node, nodes.Name)]
    for call in calls:
        if call.node.name in known:
            assert len(call.args) <= 2, f"{path.name}:{call.lineno}: {call.node.name}"


@pytest.mark.parametrize("path", NETS, ids=lambda path: path.stem)
def test_nets_read_only_what_they_are_given(path: Path) -> None:
    assert meta.find_undeclared_variables(tree(path)) == {"net", "data", "stage", "about"}


def read_by(path: Path) -> set[str]:
    """Returns the variables that a template and all it imports read, such as `net.classes`."""
    found: set[str] = set()
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        parsed = tree(here)
        for access in parsed.find_all(nodes.Getattr):
            if isinstance(access.node, nodes.Name) and access.node.name in GROUPS:
                found.add(f"{access.node.name}.{access.attr}")
        waiting += [TEMPLATES / str(name) for name in meta.find_referenced_templates(parsed)]
    return found


@pytest.mark.parametrize("name", net_names())
def test_declared_variables_are_the_ones_used(name: str) -> None:
    net = find_net(name)
    used = read_by(TEMPLATES / net.template)
    for other in {*net.task.solvers.values(), *net.task.scripts.values()}:
        used |= read_by(TEMPLATES / other)
    assert used == {variable.name for variable in net.variables}


@pytest.mark.parametrize("path", [*BLOCKS, *NETS, *OTHERS], ids=lambda path: path.name)
def test_indentation_is_two_spaces_and_no_tabs(path: Path) -> None:
    assert "\t" not in path.read_text()
    assert not re.search(r"[ ]+\n", path.read_text()), "trailing blanks"


def test_no_template_is_without_a_head_comment() -> None:
    for path in [*BLOCKS, *NETS]:
        assert path.read_text().startswith("{#- "), path.name


def test_the_environment_refuses_what_is_not_set() -> None:
    assert issubclass(environment().undefined, jinja2.StrictUndefined)

"""Declared variables: reading values, refusing others."""

from __future__ import annotations

from typing import Any

import pytest

from caffeflow.errors import TemplateError
from caffeflow.render.variables import AUTO, Variable, find_variable


def variable(kind: str, *, name: str = "net.x", **fields: Any) -> Variable:
    return Variable(**({"name": name, "type": kind, "help": "h", "default": AUTO, "source": "s"} | fields))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "7", 7), ("float", "1e-3", 0.001), ("bool", "True", True), ("bool", "no", False), ("str", "a b", "a b"),
        ("ints", "1,2,3", (1, 2, 3)), ("ints", "5", (5,)), ("floats", "0.5,1", (0.5, 1.0)), ("size", "224", (224, 224)),
        ("size", "96x160", (96, 160)), ("size", "96X160", (96, 160)), ("int", "auto", AUTO),
    ],
)  # fmt: skip
def test_text_is_read_by_type(kind: str, text: str, value: object) -> None:
    assert variable(kind).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "1.5"),
        ("int", ""),
        ("float", "a"),
        ("bool", "2"),
        ("ints", "1,,2"),
        ("size", "2x"),
        ("size", "x3"),
    ],
)
def test_other_text_is_refused_with_the_name_and_the_text(kind: str, text: str) -> None:
    with pytest.raises(TemplateError, match=rf"net\.x: '{text}' is not "):
        variable(kind).parse(text)


def test_auto_is_no_value_where_nothing_works_it_out() -> None:
    with pytest.raises(TemplateError, match="'auto' is not a whole number"):
        variable("int", default=1).parse("auto")


def test_allowed_values_are_listed() -> None:
    with pytest.raises(TemplateError, match=r"'0\.3' is not allowed; expected one of 0\.25, 0\.5"):
        variable("float", allowed=(0.25, 0.5)).parse("0.3")


def test_allowed_words_are_found_in_any_case_and_suggested() -> None:
    solver = variable("str", allowed=("SGD", "AdaDelta"))
    assert solver.parse("adadelta") == "AdaDelta"
    with pytest.raises(TemplateError, match="did you mean 'AdaDelta'"):
        solver.parse("AdaDelte")


@pytest.mark.parametrize(("kind", "text"), [("int", "0"), ("ints", "3,0"), ("size", "0x5"), ("float", "-1")])
def test_too_small_values_are_refused(kind: str, text: str) -> None:
    with pytest.raises(TemplateError, match="too small; expected at least 1"):
        variable(kind, minimum=1).parse(text)


def test_a_variable_is_found_by_its_whole_name_or_its_end() -> None:
    declared = [variable("int", name="net.width"), variable("int", name="data.scale")]
    assert find_variable("net.width", declared, net="n") is declared[0]
    assert find_variable("scale", declared, net="n") is declared[1]


@pytest.mark.parametrize(("name", "near"), [("net.widht", "net.width"), ("widht", "width")])
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(TemplateError, match=f"net 'n' has no variable '{name}'; did you mean '{near}'"):
        find_variable(name, [variable("int", name="net.width")], net="n")


def test_a_name_that_is_near_nothing_is_sent_to_show() -> None:
    with pytest.raises(TemplateError, match="see: caffeflow render n --show"):
        find_variable("qqqq", [variable("int", name="net.width")], net="n")


def test_an_end_of_two_names_needs_the_whole_name() -> None:
    declared = [variable("int", name="net.size"), variable("int", name="data.size")]
    with pytest.raises(TemplateError, match=r"could be net\.size or data\.size"):
        find_variable("size", declared, net="n")

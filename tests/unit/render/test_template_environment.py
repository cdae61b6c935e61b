"""The Jinja2 environment: filters, strictness, and errors that name both template lines."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffeflow import resources
from caffeflow.errors import TemplateError
from caffeflow.render.environment import Group, environment, num, quoted, render_template


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A templates folder of its own."""
    (tmp_path / "blocks").mkdir()
    (tmp_path / "nets").mkdir()
    monkeypatch.setattr(resources, "templates_dir", lambda: tmp_path)
    environment.cache_clear()
    yield tmp_path
    environment.cache_clear()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (1.0, "1"), (0.1, "0.1"), (0.00390625, "0.00390625"), (1e-5, "1e-05"), (0.017, "0.017"),
        (103.939, "103.939"), (0.0174291938, "0.0174291935"), (1281167, "1281167"), (-1.0, "-1"),
    ],
)  # fmt: skip
def test_num_prints_as_caffe_does(value: float, text: str) -> None:
    assert num(value) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_num_gives_the_same_float32_back(value: float) -> None:
    assert struct.pack("f", float(num(value))) == struct.pack("f", value)


@pytest.mark.parametrize("value", ["0.1", True, None])
def test_num_refuses_what_is_no_number(value: object) -> None:
    with pytest.raises(TemplateError, match="is not a number"):
        num(value)  # type: ignore[arg-type]


def test_quoted_escapes() -> None:
    assert quoted('a "b" \\ c\nd') == '"a \\"b\\" \\\\ c\\nd"'


def test_nothing_but_two_filters_is_added() -> None:
    import jinja2

    plain = jinja2.Environment()  # noqa: S701
    assert set(environment().filters) - set(plain.filters) == {"num", "quoted"}
    assert environment().globals.keys() == plain.globals.keys()


def test_an_unset_variable_names_the_line(templates: Path) -> None:
    (templates / "nets" / "a.j2").write_text("first\n{{ net.width }}\n")
    with pytest.raises(TemplateError, match=r"nets/a\.j2:2: 'net\.width' is not set"):
        render_template("nets/a.j2", {"net": Group("net", {"classes": 3})})


def test_an_error_in_a_macro_names_both_lines(templates: Path) -> None:
    (templates / "blocks" / "b.j2").write_text(
        "{% macro m(name, net) %}\n\n{{ net.width }}\n{% endmacro %}\n"
    )
    (templates / "nets" / "a.j2").write_text('{% from "blocks/b.j2" import m %}\n\n\n{{ m("x", net=net) }}\n')
    with pytest.raises(TemplateError, match=r"nets/a\.j2:4 \(in blocks/b\.j2:3\): 'net\.width' is not set"):
        render_template("nets/a.j2", {"net": Group("net", {})})


def test_an_unset_group_is_an_error(templates: Path) -> None:
    (templates / "nets" / "a.j2").write_text("{{ nett }}\n")
    with pytest.raises(TemplateError, match=r"nets/a\.j2:1: 'nett' is undefined"):
        render_template("nets/a.j2", {"net": Group("net", {})})


def test_an_unknown_argument_of_a_macro_names_the_net_line(templates: Path) -> None:
    (templates / "blocks" / "b.j2").write_text("{% macro m(name) %}{{ name }}{% endmacro %}\n")
    (templates / "nets" / "a.j2").write_text('{% from "blocks/b.j2" import m %}\n{{ m("x", pad=1) }}\n')
    with pytest.raises(TemplateError, match=r"nets/a\.j2:2.*pad"):
        render_template("nets/a.j2", {})


def test_a_syntax_error_names_the_line(templates: Path) -> None:
    (templates / "nets" / "a.j2").write_text("x\n{% if %}\n")
    with pytest.raises(TemplateError, match=r"nets/a\.j2:2: "):
        render_template("nets/a.j2", {})


def test_a_missing_template_is_named(templates: Path) -> None:
    with pytest.raises(TemplateError, match=r"no template 'nets/none\.j2'"):
        render_template("nets/none.j2", {})

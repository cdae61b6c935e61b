"""The Jinja2 environment of the templates: strict, with two filters and nothing else added.

A template sees the variable groups that it is given, `num`, `quoted` and Jinja2's own names. Whatever
it reads must be set: an unset variable is an error that names the line in the net and, where a macro
was on the way, the line in the block.
"""

from __future__ import annotations

import struct
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import jinja2

from caffeflow import resources
from caffeflow.errors import TemplateError

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Group(Mapping[str, Any]):
    """Variables under one name, such as `net`: templates read `net.classes`.

    Args:
        name: What the templates call the group.
        values: Variable name (without the group) to value.
    """

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.group_name = name
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class NotSet(jinja2.StrictUndefined):
    """An undefined value whose message names the variable as templates and users write it."""

    @property
    def _undefined_message(self) -> str:
        owner = self._undefined_obj
        name = f"{owner.group_name}.{self._undefined_name}" if isinstance(owner, Group) else None
        return f"'{name}' is not set" if name else super()._undefined_message


def num(value: float) -> str:
    """Returns a number as Caffe prints it: as few digits as give the same float32."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TemplateError(f"'{value}' is not a number; expected one before the filter 'num'")
    if isinstance(value, int):
        return str(value)
    stored = _as_float32(value)
    short = f"{stored:.6g}"
    return short if _as_float32(float(short)) == stored else f"{stored:.9g}"


def quoted(value: object) -> str:
    """Returns a text as a prototxt string, quotes and escapes included."""
    return f'"{str(value).translate(_ESCAPES)}"'


@cache
def environment() -> jinja2.Environment:
    """Returns the environment that loads from the templates folder."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.templates_dir()),
        undefined=NotSet,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - prototxt and shell, not HTML
    )
    made.filters.update(num=num, quoted=quoted)
    return made


def render_template(name: str, variables: Mapping[str, Any]) -> str:
    """Renders one template.

    Args:
        name: Path within the templates folder, such as `nets/lenet.prototxt.j2`.
        variables: What the template may read.

    Raises:
        TemplateError: The template is missing or wrong, or reads what is not set.
    """
    with _explained():
        return environment().get_template(name).render(variables)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{error.name}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise TemplateError(f"no template '{error.name}' in {resources.templates_dir()}") from error
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, TemplateError) as error:
        places = _template_lines(error.__traceback__)
        if not places:
            raise
        inner = f" (in {places[-1]})" if len(places) > 1 else ""
        raise TemplateError(f"{places[0]}{inner}: {error}") from error


def _template_lines(trace: TracebackType | None) -> list[str]:
    """Returns `file:line` of the frames that are templates, the net first and the macro last."""
    root = resources.templates_dir()
    frames = ((Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(trace))
    return [f"{path.relative_to(root)}:{line}" for path, line in frames if path.is_relative_to(root)]


def _as_float32(value: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded

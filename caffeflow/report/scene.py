"""A drawing as a list of shapes, and its two renderings: SVG text of our own, and PNG through matplotlib.

Coordinates are pixels from the upper left corner; text is measured by a table of our own, so that a
picture has the same layout everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from caffeflow.files import write_text
from caffeflow.report.plot import new_figure, picture_format, save_figure

Point = tuple[float, float]

_FONT: Final = "DejaVu Sans"
_NARROW: Final = frozenset("ijlrtfI.,:;|'()[]/ -1")
_WIDE: Final = frozenset("mwMW%@+=")
_DPI: Final = 100


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str
    radius: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Text:
    """A line of text around `x`, its middle at `y`."""

    x: float
    y: float
    text: str
    size: float
    colour: str = "#222222"
    is_bold: bool = False
    anchor: str = "middle"  # or "start"


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """A line through points, bent where it changes sides, with a head at its end.

    Pairs of points with the same x are joined by a straight line, others by a curve that leaves and
    arrives vertically.
    """

    points: tuple[Point, ...]
    colour: str = "#7a7a7a"


Shape = Box | Text | Arrow


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A drawing of a given size; later shapes lie over earlier ones."""

    width: float
    height: float
    shapes: tuple[Shape, ...]


def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Returns about how wide a text is, rather too wide than too narrow."""
    ems = sum(0.4 if c in _NARROW else 0.86 if c in _WIDE else 0.64 for c in text)
    return ems * size * (1.1 if is_bold else 1.0)


def write_scene(scene: Scene, out: Path) -> None:
    """Writes a drawing as SVG or PNG, by the ending of the file name.

    Raises:
        UsageError: Another ending, or PNG without matplotlib.
        DataError: The file cannot be written.
    """
    if picture_format(out) == "svg":
        write_text(out, to_svg(scene))
    else:
        _write_png(scene, out)


def to_svg(scene: Scene) -> str:
    """Returns a drawing as SVG text."""
    size = f'width="{scene.width:.0f}" height="{scene.height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {scene.width:.0f} {scene.height:.0f}"'
        f' font-family="{_FONT}, Verdana, sans-serif">',
        f'<rect {size} fill="#ffffff"/>',
        *(_svg_of(shape) for shape in scene.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _svg_of(shape: Shape) -> str:
    match shape:
        case Box():
            return (
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}"'
                f' height="{shape.height:.1f}" rx="{shape.radius:g}" fill="{shape.fill}"'
                f' stroke="{shape.stroke}"/>'
            )
        case Text():
            weight = ' font-weight="bold"' if shape.is_bold else ""
            return (
                f'<text x="{shape.x:.1f}" y="{shape.y + 0.36 * shape.size:.1f}" font-size="{shape.size:g}"'
                f'{weight} fill="{shape.colour}" text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
            )
        case Arrow():
            return f'<path d="{_path(shape)}" fill="none" stroke="{shape.colour}"/>\n{_svg_head(shape)}'


def _path(arrow: Arrow) -> str:
    (x, y), *rest = arrow.points
    parts = [f"M {x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        if abs(next_x - x) < 0.1:
            parts.append(f"L {next_x:.1f} {next_y:.1f}")
        else:
            middle = (y + next_y) / 2
            parts.append(f"C {x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return " ".join(parts)


def _head(arrow: Arrow) -> tuple[Point, Point, Point]:
    x, y = arrow.points[-1]
    return (x, y), (x - 4, y - 7), (x + 4, y - 7)


def _svg_head(arrow: Arrow) -> str:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in _head(arrow))
    return f'<polygon points="{corners}" fill="{arrow.colour}"/>'


def _write_png(scene: Scene, out: Path) -> None:
    figure = new_figure(scene.width / _DPI, scene.height / _DPI, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for number, shape in enumerate(scene.shapes):
        for artist in _artists(shape):
            artist.set_zorder(number)
            axes.add_artist(artist)
    save_figure(figure, out, dpi=_DPI)


def _artists(shape: Shape) -> Sequence[Any]:
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.text import Text as Label

    match shape:
        case Box():
            style = f"round,pad=0,rounding_size={shape.radius}"
            corner = (shape.x, shape.y)
            return [
                FancyBboxPatch(
                    corner, shape.width, shape.height, boxstyle=style, facecolor=shape.fill,
                    edgecolor=shape.stroke, linewidth=0.8,
                )
            ]  # fmt: skip
        case Text():
            return [
                Label(
                    shape.x, shape.y, shape.text, fontsize=shape.size * 72 / _DPI, color=shape.colour,
                    fontweight="bold" if shape.is_bold else "normal", va="center_baseline",
                    ha="center" if shape.anchor == "middle" else "left", family=_FONT, parse_math=False,
                )
            ]  # fmt: skip
        case Arrow():
            line = PathPatch(_mpl_path(shape), fill=False, edgecolor=shape.colour, linewidth=0.8)
            return [line, Polygon(_head(shape), facecolor=shape.colour, linewidth=0)]


def _mpl_path(arrow: Arrow) -> Any:
    from matplotlib.path import Path as Outline

    (x, y), *rest = arrow.points
    points, codes = [(x, y)], [Outline.MOVETO]
    for next_x, next_y in rest:
        middle = (y + next_y) / 2
        points += [(x, middle), (next_x, middle), (next_x, next_y)]
        codes += [Outline.CURVE4] * 3
        x, y = next_x, next_y
    return Outline(points, codes)

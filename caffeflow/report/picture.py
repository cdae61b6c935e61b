"""A picture of a net's graph, without Graphviz: boxes by kind of layer, arrows from above to below.

The one rule to know: a long net is cut into columns, read from left to right, at ranks that few
values cross; a value that goes on in another column leaves and enters by a pill with its layer's name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.layers.inference import NetShapes
from caffeflow.proto.graph import Graph
from caffeflow.report.layered import Placed, place_boxes, rank_boxes
from caffeflow.report.net_boxes import Kind, NetBox, boxes_of
from caffeflow.report.scene import Arrow, Box, Point, Scene, Shape, Text, text_width, write_scene

_COLOURS: Final[Mapping[Kind, tuple[str, str]]] = {  # fill, edge
    "data": ("#e3e8ec", "#8896a3"),
    "conv": ("#d4e4f7", "#5b8fcb"),
    "depthwise": ("#d3f0ea", "#4aa793"),
    "inner product": ("#e4dbf5", "#8c6fc4"),
    "pooling": ("#fdebd0", "#d99a3d"),
    "join": ("#fdf6c9", "#c4ab32"),
    "output": ("#f9d9d9", "#c96a6a"),
    "other": ("#f2f2f2", "#a0a0a0"),
}
_PILL: Final = ("#ffffff", "#b5b5b5")
_NAME_SIZE, _LINE_SIZE, _TITLE_SIZE = 12.0, 11.0, 17.0
_LINE_HEIGHT, _PADDING = 15.0, 7.0
_ROW_GAP, _COLUMN_GAP, _MARGIN, _HEAD = 30.0, 46.0, 24.0, 66.0
_ASPECT: Final = 1.25  # width to height that columns aim at
_LONGEST_SINGLE_COLUMN: Final = 14  # ranks


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A box of the picture, or a pill (kind None)."""

    name: str
    lines: tuple[str, ...]
    kind: Kind | None

    @property
    def width(self) -> float:
        name = text_width(self.name, _NAME_SIZE, is_bold=self.kind is not None)
        lines = (text_width(line, _LINE_SIZE) for line in self.lines)
        return max(name, *lines, 0.0) + 2 * _PADDING + 6

    @property
    def height(self) -> float:
        return _LINE_HEIGHT * (1 + len(self.lines)) + (2 * _PADDING if self.kind else 4)


@dataclass(frozen=True, kw_only=True)
class _Column:
    items: tuple[_Item, ...]
    placed: Placed
    sources: tuple[tuple[int, ...], ...]


def draw_net(graph: Graph, shapes: NetShapes | None, out: Path, *, title: str) -> None:
    """Draws a net into an SVG or PNG file.

    Args:
        graph: The net.
        shapes: Its shapes; None leaves them out.
        out: The picture; its ending says which kind.
        title: What stands above.
    """
    write_scene(net_scene(boxes_of(graph, shapes), title=title), out)


def net_scene(boxes: Sequence[NetBox], *, title: str) -> Scene:
    """Returns the drawing of a net's boxes."""
    ranks = rank_boxes([box.sources for box in boxes])
    columns = [_column(boxes, ranks, first, end) for first, end in _cuts(boxes, ranks)]
    head = _draw_head(title, {box.kind for box in boxes})
    content = sum(column.placed.width + _COLUMN_GAP for column in columns) - _COLUMN_GAP
    width = max(content, max((_right(shape) for shape in head), default=0.0) - _MARGIN) + 2 * _MARGIN
    shapes: list[Shape] = []
    x, bottom = (width - content) / 2, _HEAD
    for column in columns:
        drawn, height = _draw_column(column, x)
        shapes += drawn
        bottom = max(bottom, height)
        x += column.placed.width + _COLUMN_GAP
    return Scene(width=width, height=bottom + _MARGIN, shapes=(*head, *shapes))


def _cuts(boxes: Sequence[NetBox], ranks: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the ranks of each column as (first, end)."""
    total = max(ranks, default=-1) + 1
    wanted = _column_count(boxes, ranks)
    joins = {rank + 1 for box, rank in zip(boxes, ranks, strict=True) if box.kind == "join"}
    crossing = [_crossing(boxes, ranks, rank) for rank in range(total)]
    cuts = [0]
    for number in range(1, wanted):
        ideal = number * total / wanted
        slack = max(2, round(total / wanted / 3))
        near = [r for r in range(round(ideal) - slack, round(ideal) + slack + 1) if cuts[-1] < r < total]
        # The end of a block is a better place than the middle of one.
        badness = {rank: (crossing[rank], abs(rank - ideal) - 2 * (rank in joins)) for rank in near}
        if near:
            cuts.append(min(near, key=badness.__getitem__))
    return list(zip(cuts, [*cuts[1:], total], strict=True))


def _column_count(boxes: Sequence[NetBox], ranks: Sequence[int]) -> int:
    total = max(ranks, default=-1) + 1
    if total <= _LONGEST_SINGLE_COLUMN:
        return 1
    items = [_item(box) for box in boxes]
    row_height = sum(item.height for item in items) / len(items) + _ROW_GAP
    row_width = sum(item.width + _COLUMN_GAP for item in items) / total * 1.3  # rows are not all full
    return max(1, round(math.sqrt(_ASPECT * total * row_height / row_width)))


def _crossing(boxes: Sequence[NetBox], ranks: Sequence[int], cut: int) -> int:
    """Returns how many values made above a rank are read at or below it."""
    return len(
        {source for box, rank in zip(boxes, ranks, strict=True) if rank >= cut for source in box.sources
         if ranks[source] < cut}
    )  # fmt: skip


def _item(box: NetBox) -> _Item:
    return _Item(name=box.name, lines=box.lines, kind=box.kind)


def _column(boxes: Sequence[NetBox], ranks: Sequence[int], first: int, end: int) -> _Column:
    inside = [place for place, rank in enumerate(ranks) if first <= rank < end]
    reads = [(reader, source) for reader, box in enumerate(boxes) for source in box.sources]
    entering = dict.fromkeys(s for r, s in reads if r in inside and ranks[s] < first)
    leaving = dict.fromkeys(s for r, s in reads if s in inside and ranks[r] >= end)
    order = [("in", place) for place in entering] + [("box", place) for place in inside]
    number = {place: index for index, (_, place) in enumerate(order)}
    items = [_pill(boxes[p].name) if what == "in" else _item(boxes[p]) for what, p in order]
    sources = [() if what == "in" else tuple(number[s] for s in boxes[p].sources) for what, p in order]
    local = [0 if what == "in" else ranks[p] - first + bool(entering) for what, p in order]
    last = max(local, default=0) + 1
    for place in leaving:
        items.append(_pill(boxes[place].name))
        sources.append((number[place],))
        local.append(last)
    placed = place_boxes(sources, local, [item.width for item in items])
    return _Column(items=tuple(items), placed=placed, sources=tuple(sources))


def _pill(name: str) -> _Item:
    return _Item(name=name, lines=(), kind=None)


def _draw_column(column: _Column, left: float) -> tuple[list[Shape], float]:
    placed = column.placed
    heights = [0.0] * (max(placed.ranks, default=0) + 1)
    for item, rank in zip(column.items, placed.ranks, strict=True):
        heights[rank] = max(heights[rank], item.height)
    tops = [_HEAD]
    for height in heights:
        tops.append(tops[-1] + height + _ROW_GAP)
    shapes: list[Shape] = []
    for (source, reader), xs in placed.ways.items():
        start = _middle(tops, heights, placed.ranks[source]) + column.items[source].height / 2
        stop = _middle(tops, heights, placed.ranks[reader]) - column.items[reader].height / 2
        points: list[Point] = [(left + xs[0], start)]
        for rank, x in enumerate(xs[1:-1], start=placed.ranks[source] + 1):
            points += [(left + x, tops[rank]), (left + x, tops[rank] + heights[rank])]
        shapes.append(Arrow(points=(*points, (left + xs[-1], stop))))
    for item, rank, centre in zip(column.items, placed.ranks, placed.centres, strict=True):
        shapes += _draw_item(item, left + centre, _middle(tops, heights, rank))
    return shapes, tops[-1] - _ROW_GAP


def _middle(tops: Sequence[float], heights: Sequence[float], rank: int) -> float:
    return tops[rank] + heights[rank] / 2


def _draw_item(item: _Item, x: float, y: float) -> list[Shape]:
    fill, stroke = _COLOURS[item.kind] if item.kind else _PILL
    top = y - item.height / 2
    shapes: list[Shape] = [
        Box(
            x=x - item.width / 2, y=top, width=item.width, height=item.height, fill=fill, stroke=stroke,
            radius=5 if item.kind else item.height / 2,
        )
    ]  # fmt: skip
    first = top + (_PADDING if item.kind else 2) + _LINE_HEIGHT / 2
    shapes.append(Text(x=x, y=first, text=item.name, size=_NAME_SIZE, is_bold=item.kind is not None))
    for number, line in enumerate(item.lines, start=1):
        y_line = first + number * _LINE_HEIGHT
        shapes.append(Text(x=x, y=y_line, text=line, size=_LINE_SIZE, colour="#444444"))
    return shapes


def _draw_head(title: str, kinds: set[Kind]) -> list[Shape]:
    shapes: list[Shape] = [Text(x=_MARGIN, y=20, text=title, size=_TITLE_SIZE, is_bold=True, anchor="start")]
    x = _MARGIN
    for kind, (fill, stroke) in _COLOURS.items():
        if kind in kinds:
            shapes.append(Box(x=x, y=38, width=13, height=13, fill=fill, stroke=stroke, radius=3))
            shapes.append(
                Text(x=x + 18, y=44.5, text=kind, size=_LINE_SIZE, anchor="start", colour="#444444")
            )
            x += 18 + text_width(kind, _LINE_SIZE) + 16
    return shapes


def _right(shape: Shape) -> float:
    match shape:
        case Text():
            return shape.x + text_width(shape.text, shape.size, is_bold=shape.is_bold)
        case Box():
            return shape.x + shape.width
        case Arrow():
            return max(x for x, _ in shape.points)

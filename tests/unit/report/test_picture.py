from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.report.net_boxes import NetBox
from caffeflow.report.picture import net_scene
from caffeflow.report.scene import Arrow, Box, Scene, Text, text_width, to_svg, write_scene


def chain(length: int) -> list[NetBox]:
    """A net of residual blocks of two convolutions."""
    boxes = [NetBox(name="data", kind="data", lines=("Input",), sources=())]
    while len(boxes) < length:
        start = len(boxes) - 1
        for place, (kind, sources) in enumerate(
            [("conv", (start,)), ("conv", (start + 1,)), ("join", (start, start + 2))]
        ):
            name = f"block{start}/{place}"
            boxes.append(NetBox(name=name, kind=kind, lines=("something", "3x5x7"), sources=sources))  # type: ignore[arg-type]
    return boxes


def boxes_in(scene: Scene) -> list[Box]:
    return [shape for shape in scene.shapes if isinstance(shape, Box) and shape.width > 13]


def apart(first: Box, second: Box) -> bool:
    return (
        first.x + first.width <= second.x or second.x + second.width <= first.x
        or first.y + first.height <= second.y or second.y + second.height <= first.y
    )  # fmt: skip


@pytest.mark.parametrize("length", [1, 4, 40, 200])
def test_boxes_lie_apart_and_inside_the_picture(length: int) -> None:
    scene = net_scene(chain(length), title="a net")
    found = boxes_in(scene)
    assert len(found) >= length
    assert all(apart(*pair) for pair in combinations(found, 2))
    assert all(box.x >= 0 and box.x + box.width <= scene.width for box in found)
    assert all(box.y >= 0 and box.y + box.height <= scene.height for box in found)


def test_a_long_net_becomes_columns_not_a_tower() -> None:
    scene = net_scene(chain(200), title="a net")
    assert 0.5 < scene.width / scene.height < 3


def test_what_goes_on_in_another_column_leaves_and_enters_by_name() -> None:
    scene = net_scene(chain(60), title="a net")
    texts = [shape.text for shape in scene.shapes if isinstance(shape, Text)]
    joined = [text for text in texts if text.endswith("/2")]
    assert len(joined) > len(set(joined))
    assert all(joined.count(text) in (1, 3) for text in joined)


def test_every_arrow_runs_downwards() -> None:
    scene = net_scene(chain(40), title="a net")
    arrows = [shape for shape in scene.shapes if isinstance(shape, Arrow)]
    assert len(arrows) >= 40
    for arrow in arrows:
        heights = [y for _, y in arrow.points]
        assert heights == sorted(heights)


def test_text_fits_its_box() -> None:
    scene = net_scene(chain(4), title="a net")
    for box in boxes_in(scene):
        inside = [
            shape for shape in scene.shapes
            if isinstance(shape, Text) and box.y < shape.y < box.y + box.height
            and abs(shape.x - box.x - box.width / 2) < 1
        ]  # fmt: skip
        assert inside
        assert all(text_width(t.text, t.size, is_bold=t.is_bold) <= box.width for t in inside)


def test_svg_is_well_formed_and_says_all_names() -> None:
    boxes = [NetBox(name='a<b>&"c"', kind="conv", lines=(), sources=())]
    root = ElementTree.fromstring(to_svg(net_scene(boxes, title="<title>")))  # noqa: S314 - our own text
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert 'a<b>&"c"' in texts
    assert "<title>" in texts


def test_png_shows_the_same_boxes(tmp_path: Path) -> None:
    scene = net_scene(chain(10), title="a net")
    write_scene(scene, tmp_path / "net.png")
    picture = cv2.imread(str(tmp_path / "net.png"))
    assert picture is not None
    assert abs(picture.shape[1] - scene.width) <= 1
    assert abs(picture.shape[0] - scene.height) <= 1
    for box in boxes_in(scene):
        fill = [int(box.fill[place : place + 2], 16) for place in (5, 3, 1)]
        pixel = picture[round(box.y + 3), round(box.x + box.width / 2)]
        assert np.abs(pixel.astype(int) - fill).max() <= 2


def test_mathematics_in_names_is_no_formula(tmp_path: Path) -> None:
    boxes = [NetBox(name="$x_1^", kind="conv", lines=(), sources=())]
    write_scene(net_scene(boxes, title="$"), tmp_path / "net.png")
    assert (tmp_path / "net.png").exists()

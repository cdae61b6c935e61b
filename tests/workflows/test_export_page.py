"""What docs/export.md shows works: its lines of Python decode a detector's outputs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.export.onnx_layer import WRITERS
from caffeflow.proto.binary import write_caffemodel
from tests.support.onnx_nets import weights_of
from tests.support.oracles.ssd_boxes import decode
from tests.support.small_detector import CLASSES, DETECTOR, IMAGE, PER_PLACE, PLACES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


def test_the_decoder_of_the_page_gives_the_boxes() -> None:
    Path("ssd.prototxt").write_text(f'name: "ssd"\n{DETECTOR}')
    write_caffemodel("ssd.caffemodel", name="ssd", layers=weights_of(DETECTOR))
    assert run(["export", "ssd.prototxt", "--weights", "ssd.caffemodel", "--onnx", "ssd.onnx"]) == 0
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    images = np.random.default_rng(1).normal(size=(2, 3, *IMAGE)).astype(np.float32)
    names: dict[str, np.ndarray] = {"images": images}
    exec(code, names)  # noqa: S102 - our own page
    priors, variances = names["beside"]["priors"], names["beside"]["variances"]
    loc = names["loc"].reshape(2, -1, 4)
    assert names["scores"].shape == (2, PLACES * PER_PLACE, CLASSES)
    assert names["boxes"].shape == loc.shape
    for image, prior in np.ndindex(*loc.shape[:2]):
        wanted = decode(
            priors[prior], variances[prior], loc[image, prior], code="CENTER_SIZE", variance_in_target=False
        )
        assert names["boxes"][image, prior] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_the_page_names_every_type_that_is_written() -> None:
    text = PAGE.read_text()
    assert [type_ for type_ in WRITERS if not re.search(rf"\b{type_}\b", text)] == []

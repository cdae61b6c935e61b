"""Twenty drawn configurations of each layer type: fed with the same values, ours gives what the real Caffe gives.

A failure prints the smallest prototxt that shows it. `make fidelity` writes the figures into docs/fidelity.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drawn_layers.compare import Blobs, Died, ask
from tests.support.drawn_layers.families import CONFIGURATIONS, FAMILIES, LEFT_OUT, by_type, configurations
from tests.support.drawn_layers.feeds import FEEDS
from tests.support.drawn_layers.verdict import differences, row
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe, Report

pytestmark = [pytest.mark.native, pytest.mark.fidelity]

Answers = dict[str, list["Blobs | Died"]]


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What Caffe answers to all configurations, asked in one process."""
    everything = [each for layer_type in FAMILIES for each in configurations(layer_type)]
    found = ask(caffe, everything, tmp_path_factory.mktemp("drawn"))
    return by_type(FAMILIES, found)


@pytest.mark.parametrize("layer_type", FAMILIES)
def test_drawn_layers_compute_what_caffe_computes(
    layer_type: str, caffe: NativeCaffe, answers: Answers, tmp_path: Path, fidelity: Keep
) -> None:
    found = differences(caffe, configurations(layer_type), answers[layer_type], tmp_path)
    assert len(found) == 20
    fidelity("Layer types", layer_type, row(found))


def test_every_type_is_drawn_or_left_out_with_a_reason(
    caffe: NativeCaffe, report: Report, fidelity: Keep
) -> None:
    elsewhere = {*FEEDS, "HDF5Output", "MemoryData", "Python"}
    assert set(caffe.facts()["layer_types"]) - FAMILIES.keys() - elsewhere == {"Input"}
    assert len(FAMILIES) == 52
    report("drawn layers", f"{len(FAMILIES)} types, {CONFIGURATIONS} configurations each")
    for what, reason in LEFT_OUT.items():
        fidelity("Layer types not compared", what, {"reason": reason})

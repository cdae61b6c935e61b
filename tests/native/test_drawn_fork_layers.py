"""Twenty drawn configurations of each layer of Caffe's SSD fork, asked of a build of the fork.

No distribution packages the fork: the tests run where CAFFEFLOW_SSD_CAFFE names a build with `tools/python`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drawn_layers.annotated import annotated_data, write_annotated_sources
from tests.support.drawn_layers.compare import EQUAL, Blobs, Died, ask
from tests.support.drawn_layers.configuration import drawn
from tests.support.drawn_layers.draw import Draw
from tests.support.drawn_layers.families import CONFIGURATIONS, by_type
from tests.support.drawn_layers.feed_answers import ask_feeds, assert_feed_brings
from tests.support.drawn_layers.fork import FAMILIES
from tests.support.drawn_layers.verdict import differences, row
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe

pytestmark = [pytest.mark.native, pytest.mark.fidelity]

DRAWN = {
    what: [drawn(what, number, family) for number in range(CONFIGURATIONS)]
    for what, family in FAMILIES.items()
}


@pytest.fixture(scope="module")
def answers(
    ssd_caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Blobs | Died]]:
    """What the fork answers to all configurations, asked in one process."""
    if not ssd_caffe.tool("python").exists():
        pytest.skip(f"{ssd_caffe.tree} has no tools/python")
    everything = [each for configurations in DRAWN.values() for each in configurations]
    found = ask(ssd_caffe, everything, tmp_path_factory.mktemp("drawn"))
    return by_type(FAMILIES, found)


@pytest.mark.parametrize("what", FAMILIES)
def test_drawn_layers_compute_what_the_fork_computes(
    what: str,
    ssd_caffe: NativeCaffe,
    answers: dict[str, list[Blobs | Died]],
    tmp_path: Path,
    fidelity: Keep,
) -> None:
    found = differences(ssd_caffe, DRAWN[what], answers[what], tmp_path)
    assert len(found) == 20
    fidelity("Layer types of the SSD fork", what, row(found))


def test_drawn_annotated_data_brings_what_the_fork_s_brings(
    ssd_caffe: NativeCaffe, tmp_path: Path, fidelity: Keep
) -> None:
    write_annotated_sources(tmp_path)
    drawn_feeds = [
        annotated_data(Draw(f"AnnotatedData-{number}"), tmp_path) for number in range(CONFIGURATIONS)
    ]
    assert len(drawn_feeds) == 20
    theirs = ask_feeds(ssd_caffe, drawn_feeds, tmp_path)
    for feed, expected in zip(drawn_feeds, theirs, strict=True):
        assert_feed_brings(feed, expected)
    fidelity("Layer types of the SSD fork", "AnnotatedData", row([EQUAL] * CONFIGURATIONS))


def test_all_types_of_the_fork_are_drawn() -> None:
    assert len(FAMILIES) == 9

"""Fifty drawn nets against the real Caffe: layer by layer, whole, and their gradients where they are smooth.

Each net takes Caffe's learned blobs and inputs. Then its graph (layers, blobs that Caffe splits, inputs, outputs,
what runs backward, shapes) is Caffe's, each layer alone makes of Caffe's values what Caffe made of them, and both
executors make of the whole net Caffe's loss, blobs and, without kinks, gradients. A failure prints the smallest
net that still shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe
from tests.support.native_random_nets import CaffeAnswer, ask_caffe
from tests.support.random_nets.comparing import compare
from tests.support.random_nets.drawing import RandomNet, draw_net
from tests.support.random_nets.shrinking import shrink
from tests.support.random_nets.verdict import Failure, Verdict

pytestmark = [pytest.mark.native, pytest.mark.fidelity, pytest.mark.usefixtures("one_thread")]

COUNT: Final = 50
NETS: Final = tuple(draw_net(seed) for seed in range(COUNT))

Answers = dict[str, "CaffeAnswer | str"]


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return ask_caffe(caffe, NETS, tmp_path_factory.mktemp("nets"))


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """What the nets before gave, for the page."""
    return {}


@pytest.mark.parametrize("drawn", NETS, ids=lambda drawn: drawn.name)
def test_net_computes_what_caffe_computes(
    drawn: RandomNet, answers: Answers, verdicts: dict[str, Verdict], caffe: NativeCaffe, tmp_path: Path
) -> None:
    answer = answers[drawn.name]
    assert isinstance(answer, CaffeAnswer), f"Caffe refuses the net:\n{answer}\n{drawn.text()}"
    verdicts[drawn.name] = verdict = compare(drawn, answer)
    if verdict.failures:
        pytest.fail(_show_smallest(drawn, answer, verdict, caffe, tmp_path), pytrace=False)


def test_the_nets_are_all_and_of_many_types(verdicts: dict[str, Verdict], fidelity: Keep) -> None:
    assert len(NETS) == COUNT
    types = set().union(*(net.types for net in NETS))
    assert len(types) >= 40
    if len(verdicts) != COUNT:
        return  # a run of some nets only says nothing about all
    for check in sorted({check for verdict in verdicts.values() for check in verdict.compared}):
        concerned = [verdict for verdict in verdicts.values() if check in verdict.compared]
        worst = max(verdict.worst.get(check, 0.0) for verdict in concerned)
        fidelity(
            "Random nets",
            check,
            {
                "nets": str(len(concerned)),
                "compared": str(sum(verdict.compared[check] for verdict in concerned)),
                "worst": f"{worst:.1e}" if worst else "equal",
            },
        )


def _show_smallest(
    drawn: RandomNet, answer: CaffeAnswer, verdict: Verdict, caffe: NativeCaffe, folder: Path
) -> str:
    """Returns the failures, and the smallest net that shows the first of them, as text."""
    first = verdict.failures[0]
    shown: list[Failure] = []

    def fails(nets: Sequence[RandomNet]) -> list[bool]:
        found = ask_caffe(caffe, nets, folder / "shrinking")
        failed = []
        for net in nets:
            their = found[net.name]
            same = [
                failure
                for failure in (compare(net, their).failures if isinstance(their, CaffeAnswer) else ())
                if failure.check == first.check
            ]
            failed.append(bool(same))
            if same and not any(failed[:-1]):
                shown[:] = same[:1]
        return failed

    smallest = shrink(drawn, _values(answer), fails)
    failures = "\n".join(map(str, verdict.failures))
    return f"{drawn.name}, {drawn.phase}:\n{failures}\n\nsmallest net that shows it ({(shown or [first])[0]}):\n{smallest.text()}"


def _values(answer: CaffeAnswer) -> dict[tuple[str, int], np.ndarray]:
    return {
        (layer.name, place): values
        for layer in answer.layers
        for place, values in enumerate(answer.of("top", layer))
    }

"""`caffeflow summary`: the cost of one net layer by layer, or of several nets side by side."""

from __future__ import annotations

from collections.abc import Sequence

from caffeflow.layers.spec import Shape
from caffeflow.proto.net import Phase
from caffeflow.report.summary import NetSummary, summarize
from caffeflow.workflows.open_net import open_net


def summarize_nets(
    asked: Sequence[str], *, phase: Phase = "TEST", record: Shape | None = None
) -> list[NetSummary]:
    """Returns the summary of each net that the user names.

    Args:
        asked: Catalogue names, prototxt files or folders.
        phase: Which layers the nets have.
        record: (C, H, W) of one record, for nets whose source is not on this machine.
    """
    summaries = []
    for name in asked:
        opened = open_net(name, phase=phase, record=record)
        summaries.append(summarize(opened.label, phase, opened.shapes))
    return summaries

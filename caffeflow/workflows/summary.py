"""`caffeflow summary`: the cost of one net layer by layer, or of several nets side by side."""

from __future__ import annotations

from collections.abc import Iterable

from caffeflow.report.summary import NetSummary, summarize
from caffeflow.workflows.open_net import Ask, open_net


def summarize_nets(asks: Iterable[Ask]) -> list[NetSummary]:
    """Returns the summary of each net that is asked for.

    Raises:
        UsageError: There is no such net or file.
        NetError: Caffe would refuse the net, or a layer's type is not known here.
    """
    summaries = []
    for ask in asks:
        opened = open_net(ask)
        summaries.append(summarize(opened.label, ask.phase, opened.shapes()))
    return summaries

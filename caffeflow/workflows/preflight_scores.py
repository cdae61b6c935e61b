"""Preflight of scores: a solver's eval_type must be that of its test nets' outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caffeflow.errors import NetError
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import NetRole
from caffeflow.workflows.preflight_findings import Finding, Flight, place_of

_ROWS: Final = "DetectionEvaluate"


def check_scores(flight: Flight) -> Iterator[Finding]:
    """Yields test nets whose outputs are of another kind than the solver expects."""
    if flight.solver is None:
        return
    wants_rows = flight.solver.eval_type == "detection"
    for role in flight.tests:
        yield from _check_outputs(role, wants_rows=wants_rows)


def _check_outputs(role: NetRole, *, wants_rows: bool) -> Iterator[Finding]:
    try:
        graph = build_graph(role.net)
    except NetError:
        return  # whoever builds the net says so, with file and line
    for node in graph.nodes:
        unread = [top.blob for top in node.tops if top in graph.outputs]
        if wants_rows and unread and node.layer.type != _ROWS:
            yield Finding(
                where=place_of(role, node.layer),
                what=f"top '{unread[0]}' is an output, but with eval_type \"detection\" only those of"
                f" {_ROWS} may be outputs; let a Silence layer take it",
            )
        elif not wants_rows and node.layer.type == _ROWS:
            yield Finding(
                where=place_of(role, node.layer),
                what="makes rows to be counted, which a solver without eval_type averages as if they were"
                ' scores; write eval_type: "detection" into the solver',
            )

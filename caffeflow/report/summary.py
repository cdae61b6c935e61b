"""What a net is made of: shapes, parameters and multiply-accumulates, layer by layer and in total.

The one rule to know: costs are for one item of the batch, as papers state them, and parameters are
what training changes; BatchNorm's running statistics are counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from caffeflow.layers.inference import LayerFacts, NetShapes
from caffeflow.layers.spec import Shape
from caffeflow.report.tables import table

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class LayerLine:
    """One layer of a summary."""

    name: str
    type: str
    output: Shape  # of the first top; () if it has none
    parameters: int
    statistics: int
    macs: int  # of one item


@dataclass(frozen=True, kw_only=True)
class NetSummary:
    """A net as a table, and its sums."""

    name: str
    phase: str
    input: Shape
    layers: tuple[LayerLine, ...]
    activations: int  # values in all tops of one item

    @property
    def batch(self) -> int:
        """How many items the net takes at once."""
        return self.input[0] if self.input else 1

    @property
    def parameters(self) -> int:
        """Values that training changes."""
        return sum(line.parameters for line in self.layers)

    @property
    def statistics(self) -> int:
        """Values that BatchNorm layers average."""
        return sum(line.statistics for line in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one item."""
        return sum(line.macs for line in self.layers)


def summarize(name: str, phase: str, shapes: NetShapes) -> NetSummary:
    """Returns the summary of a net whose shapes are known."""
    tops = list(shapes.tops.values())
    batch = tops[0][0] if tops and tops[0] else 1
    # In-place layers write over their bottom: Caffe keeps one buffer a blob name.
    buffers = {value.blob: math.prod(shape) for value, shape in shapes.tops.items()}
    return NetSummary(
        name=name,
        phase=phase,
        input=tops[0] if tops else (),
        layers=tuple(_line(facts, batch) for facts in shapes.layers),
        activations=sum(buffers.values()) // max(batch, 1),
    )


def to_json(summary: NetSummary) -> dict[str, Any]:
    """Returns a summary as plain values."""
    return {
        "name": summary.name,
        "phase": summary.phase,
        "input": list(summary.input),
        "batch": summary.batch,
        "parameters": summary.parameters,
        "statistics": summary.statistics,
        "macs": summary.macs,
        "activations": summary.activations,
        "layers": [{**asdict(line), "output": list(line.output)} for line in summary.layers],
    }


def layer_table(summary: NetSummary) -> Table:
    """Returns the table of a net, a row a layer, with the sums below."""
    return table(
        ("layer", "type", "output", ">parameters", ">multiply-accumulates"),
        [
            (line.name, line.type, shape_text(line.output), _count(line.parameters), _count(line.macs))
            for line in summary.layers
        ],
        title=f"{summary.name} ({summary.phase})",
        footer=(
            f"{len(summary.layers)} layers", "", f"input {shape_text(summary.input)}",
            f"{summary.parameters:,}", f"{summary.macs:,}",
        ),
    )  # fmt: skip


def totals_text(summary: NetSummary) -> str:
    """Returns the sums of a net as one line."""
    return (
        f"{summary.name}: {millions(summary.parameters)} parameters ({_megabytes(summary)} as caffemodel),"
        f" {giga(summary.macs)} multiply-accumulates and {millions(summary.activations)} activations an item"
    )


def compare_table(summaries: Sequence[NetSummary]) -> Table:
    """Returns one table over several nets."""
    return table(
        ("net", "input", ">layers", ">parameters", ">caffemodel", ">multiply-accumulates", ">activations"),
        [
            (
                net.name, shape_text(net.input[1:]), str(len(net.layers)), millions(net.parameters),
                _megabytes(net), giga(net.macs), millions(net.activations),
            )
            for net in summaries
        ],
    )  # fmt: skip


def shape_text(shape: Shape) -> str:
    """Returns a shape as `1 x 3 x 224 x 224`."""
    return " x ".join(map(str, shape))


def millions(value: int) -> str:
    """Returns a count as papers print it: `4.23 M`."""
    return f"{value / 1e6:.2f} M" if value >= 10_000 else f"{value:,}"


def giga(value: int) -> str:
    """Returns multiply-accumulates as papers print them: `0.569 G`, or in millions below 0.01 G."""
    return f"{value / 1e9:.3f} G" if value >= 10_000_000 else f"{value / 1e6:.3f} M"


def _line(facts: LayerFacts, batch: int) -> LayerLine:
    return LayerLine(
        name=facts.name,
        type=facts.spec.type,
        output=facts.tops[0] if facts.tops else (),
        parameters=sum(math.prod(blob.shape) for blob in facts.blobs if blob.trained),
        statistics=sum(math.prod(blob.shape) for blob in facts.blobs if not blob.trained),
        macs=facts.macs // max(batch, 1),
    )


def _megabytes(summary: NetSummary) -> str:
    return f"{4 * (summary.parameters + summary.statistics) / 1e6:.1f} MB"


def _count(value: int) -> str:
    return f"{value:,}" if value else ""

"""Times one net in two builds of Caffe, layer by layer, and checks that both compute the same.

    python -m benchmarks.native_layers --before A --after B [--net mobilenet-v2] [--batch 16]
                                       [--iterations N] [--repeats N] [--threads N] [--out FILE]

A and B are `caffe` programs, of a tree without our layers (`caffeflow caffe patch --skip conv-factory`)
and of one with them. They take turns at `caffe time` of the same rendered net, fed with constants, as a
user gets it: no setting of BLAS threads, unless --threads says so. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import machine
from benchmarks.measure import figures, own_environment
from benchmarks.native_outputs import compare_outputs
from benchmarks.nets import TIMED, render_train_net
from benchmarks.page import Goal
from caffeflow import system
from caffeflow.errors import CaffeflowError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import parse

DEPTHWISE: Final = "Convolution, depthwise"
GOALS: Final = {DEPTHWISE: Goal(at_least=8), "whole net": Goal(at_least=1.45), "outputs": Goal(at_most=1e-5)}

_LAYER: Final = re.compile(r"\]\s+(\S+)\s+(forward|backward): ([\d.e+-]+) ms")
_WHOLE: Final = re.compile(r"Average (Forward|Backward) pass: ([\d.e+-]+) ms")
_SET_UP: Final = re.compile(r"\] Setting up (\S+)\n(?:.*\] Top shape: ([\d ]+) \()?")


@dataclass(frozen=True)
class Times:
    """Milliseconds of one pass each way."""

    forward: float
    backward: float

    def __add__(self, other: Times) -> Times:
        """Returns both, one after the other."""
        return Times(self.forward + other.forward, self.backward + other.backward)

    @property
    def both(self) -> float:
        """Of a forward-backward pass."""
        return self.forward + self.backward


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one side's `caffe time` said: the medians of its runs."""

    layers: dict[str, Times]
    whole: Times
    top_shapes: dict[str, str]


def main() -> int:
    """Prints the comparison, and returns 1 if it could not be made or a goal is missed."""
    asked = _arguments()
    environment = own_environment()
    if asked.threads is not None:
        environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(asked.threads))
    with tempfile.TemporaryDirectory(prefix="caffeflow-bench-") as scratch:
        try:
            text = _measure(asked, environment, Path(scratch))
        except (AssertionError, CaffeflowError) as error:
            print(f"could not be measured: {error}", file=sys.stderr)
            return 1
    print(text)
    if asked.out is not None:
        asked.out.write_text(text)
    return int("**missed**" in text)


def _measure(asked: argparse.Namespace, environment: dict[str, str], scratch: Path) -> str:
    timed = next((one for one in TIMED if one.name == asked.net), None)
    assert timed is not None, f"'{asked.net}' is none of {', '.join(one.name for one in TIMED)}"
    timed = replace(timed, batch_size=asked.batch)
    path = scratch / "net.prototxt"
    path.write_text(render_train_net(timed))
    net = parse(path.read_text(), NetParameter(), source=timed.name)
    binaries = {"before": asked.before, "after": asked.after}
    outputs = compare_outputs(net, binaries, environment=environment, scratch=scratch)
    load = machine.load_line()
    logs: dict[str, list[str]] = {side: [] for side in binaries}
    for turn in range(asked.repeats):
        for side in sorted(binaries, reverse=turn % 2 == 0):
            logs[side].append(_time(binaries[side], path, asked.iterations, environment))
    before, after = (read_times(logs[side]) for side in ("before", "after"))
    threads = "as it comes" if asked.threads is None else f"{asked.threads}"
    lines = [
        f"## `caffe time` of {timed.name}, batch {timed.batch_size}, before and after",
        "",
        *(f"* {line}" for line in machine.describe()),
        f"* {asked.iterations} iterations a run; medians of {asked.repeats} runs, the sides taking turns;"
        f" threads: {threads}. {load}",
        "",
        *table(by_type(net, before, after)),
        "",
        "Depthwise layers by the size of their top:",
        "",
        *table(by_size(net, before, after)),
        "",
        *(f"* {line}" for line in outputs.lines(GOALS["outputs"])),
    ]
    return "\n".join(lines) + "\n"


def _time(binary: Path, net: Path, iterations: int, environment: dict[str, str]) -> str:
    done = system.run([binary, "time", "-model", net, "-iterations", str(iterations)], env=environment)
    assert done.returncode == 0, f"{binary} ended with {done.returncode}:\n{done.output[-4000:]}"
    return done.output


def read_times(logs: Sequence[str]) -> Measured:
    """Returns the medians of what some runs of `caffe time` printed.

    Raises:
        AssertionError: A log has no times in it.
    """
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    for log in logs:
        assert _WHOLE.search(log), f"no times in:\n{log[-2000:]}"
        for name, way, ms in _LAYER.findall(log):
            found[name, way].append(float(ms))
        for way, ms in _WHOLE.findall(log):
            whole[way].append(float(ms))
    names = dict.fromkeys(name for name, _ in found)
    return Measured(
        layers={
            name: Times(median(found[name, "forward"]), median(found[name, "backward"])) for name in names
        },
        whole=Times(median(whole["Forward"]), median(whole["Backward"])),
        top_shapes={name: shape.strip() for name, shape in _SET_UP.findall(logs[0])},
    )


Rows = dict[str, tuple[int, Times, Times]]
"""By what they are called: how many layers, and their times before and after."""


def by_type(net: NetParameter, before: Measured, after: Measured) -> Rows:
    """Returns the times of each layer type and of the whole net, the slowest type first."""
    types = {layer.name: _type(layer) for layer in net.layer}
    rows = _grouped({name: types.get(name, "Split") for name in before.layers}, before, after)
    rows = dict(sorted(rows.items(), key=lambda row: -row[1][1].both))
    return rows | {"whole net": (len(before.layers), before.whole, after.whole)}


def by_size(net: NetParameter, before: Measured, after: Measured) -> Rows:
    """Returns the times of the depthwise layers by the size of their top."""

    def size(layer: LayerParameter) -> str:
        _, channels, height, width = before.top_shapes[layer.name].split()
        stride = layer.convolution_param.stride
        return f"{channels} x {height} x {width}, stride {stride[0] if stride else 1}"

    sizes = {layer.name: size(layer) for layer in net.layer if _type(layer) == DEPTHWISE}
    return _grouped(sizes, before, after)


def _type(layer: LayerParameter) -> str:
    settings = layer.convolution_param
    is_depthwise = layer.type == "Convolution" and 1 < settings.group == settings.num_output
    return DEPTHWISE if is_depthwise else str(layer.type)


def _grouped(kinds: dict[str, str], before: Measured, after: Measured) -> Rows:
    rows: Rows = {}
    for name, kind in kinds.items():
        count, old, new = rows.get(kind, (0, Times(0, 0), Times(0, 0)))
        rows[kind] = (count + 1, old + before.layers[name], new + after.layers[name])
    return rows


def table(rows: Rows) -> list[str]:
    """Returns the rows as lines of Markdown, with the goals that are set for them."""
    header = ["layers", "number", "forward, ms", "backward, ms", "both, ms", "times as fast", "goal"]
    lines = [header, ["---"] * len(header)]
    for kind, (count, old, new) in rows.items():
        pairs = [(old.forward, new.forward), (old.backward, new.backward), (old.both, new.both)]
        ratio = old.both / new.both if new.both else 1.0
        goal = GOALS.get(kind)
        verdict = f"{goal}: {'met' if goal.is_met(ratio) else '**missed**'}" if goal else ""
        times = [f"{figures(one)} -> {figures(two)}" for one, two in pairs]
        lines.append([kind, str(count), *times, f"{ratio:.2f}", verdict])
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.native_layers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--before", type=Path, required=True, help="a caffe program without our layers")
    parser.add_argument("--after", type=Path, required=True, help="a caffe program with them")
    parser.add_argument("--net", default="mobilenet-v2", help="of the timed nets (default: mobilenet-v2)")
    parser.add_argument("--batch", type=int, default=16, help="default: 16")
    parser.add_argument("--iterations", type=int, default=5, help="of a run of caffe time (default: 5)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each program (default: 3)")
    parser.add_argument("--threads", type=int, help="of BLAS and our loops (default: as they take them)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to a file, too")
    asked = parser.parse_args()
    for name in ("before", "after"):
        setattr(asked, name, getattr(asked, name).resolve())
    return asked


if __name__ == "__main__":
    sys.exit(main())

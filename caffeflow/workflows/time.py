"""`caffeflow time`: how long nets take on this machine, with made-up images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffeflow.engine.device import choose_device, describe_device
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot_formats import shared_blobs
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.timing import (
    LayerTimes,
    PassTimes,
    neutral_statistics,
    time_fused,
    time_layers,
)
from caffeflow.proto.text import located
from caffeflow.report.tables import table
from caffeflow.workflows.open_net import Ask, open_net
from caffeflow.workflows.weights_into_net import check_beginning, load_into

if TYPE_CHECKING:
    from rich.table import Table

_SEED = 0


@dataclass(frozen=True, kw_only=True)
class TimeRequest:
    """What to time.

    Attributes:
        asks: The nets.
        iterations: How many are measured, after a warm-up.
        device: `auto`, `cpu` or `cuda`.
        with_bf16: Whether bfloat16 is timed too; None: on a GPU.
        weights: A caffemodel to load into each net.
    """

    asks: Sequence[Ask]
    iterations: int = 10
    device: str = "auto"
    with_bf16: bool | None = None
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True)
class NetTimes:
    """The times of one net; those with bfloat16 are None if they were not asked for."""

    net: str
    phase: str
    batch_size: int
    device: str
    layer_by_layer: PassTimes
    fused: PassTimes
    fused_bf16: PassTimes | None
    layers: tuple[LayerTimes, ...]

    @property
    def images_per_second(self) -> float:
        """Of the fused pass, with backward if there is one."""
        return self.batch_size / (self.fused.forward_backward or self.fused.forward)


def time_nets(request: TimeRequest, *, on_net: Callable[[str], None]) -> list[NetTimes]:
    """Returns the times of each net.

    Args:
        request: What to time.
        on_net: Told the name of each net before it runs.

    Raises:
        UsageError: There is no such net, or no such device.
        NetError: Caffe would refuse a net.
        WeightsError: The weights cannot be read or do not fit.
    """
    device = choose_device(request.device)
    with_bf16 = device.type == "cuda" if request.with_bf16 is None else request.with_bf16
    times = []
    for ask in request.asks:
        opened = open_net(ask)
        on_net(opened.label)
        with located(opened.net_file):
            net = Net(opened.graph, opened.shapes(), seed=_SEED, device=device)
        if request.weights is not None:
            plan = load_into(net.load, request.weights, net=ask.net, shared=shared_blobs(net))
            check_beginning(plan, request.weights, net=ask.net)
        neutral_statistics(net)
        feeds = synthetic_feeds(net, seed=_SEED)
        by_layer, layers = time_layers(net, feeds, iterations=request.iterations)
        times.append(
            NetTimes(
                net=opened.label,
                phase=ask.phase,
                batch_size=_batch_size(net),
                device=describe_device(device),
                layer_by_layer=by_layer,
                fused=time_fused(net, feeds, precision="fp32", iterations=request.iterations),
                fused_bf16=time_fused(net, feeds, precision="bf16", iterations=request.iterations)
                if with_bf16
                else None,
                layers=tuple(layers),
            )
        )
    return times


def to_json(times: NetTimes) -> dict[str, Any]:
    """Returns times as plain values, in milliseconds."""
    return {
        "net": times.net,
        "phase": times.phase,
        "batch_size": times.batch_size,
        "device": times.device,
        "images_per_second": round(times.images_per_second, 3),
        "layer_by_layer_ms": _pass_json(times.layer_by_layer),
        "fused_ms": _pass_json(times.fused),
        "fused_bf16_ms": _pass_json(times.fused_bf16) if times.fused_bf16 else None,
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "forward_ms": _ms(layer.forward),
                "backward_ms": _ms(layer.backward),
            }
            for layer in times.layers
        ],
    }


def compare_table(times: Sequence[NetTimes]) -> Table:
    """Returns a table over nets, in milliseconds."""
    has_bf16 = any(net.fused_bf16 for net in times)
    kinds = ["layer by layer", "fused", *(["fused bf16"] if has_bf16 else [])]
    columns = ["net", ">batch"]
    for kind in kinds:
        columns += [f">{kind}\nforward", ">\nfwd-bwd"]
    rows = []
    for net in times:
        cells = [net.net, str(net.batch_size)]
        passes = [net.layer_by_layer, net.fused, *([net.fused_bf16] if has_bf16 else [])]
        for one in passes:
            cells += [_text(one.forward if one else None), _text(one.forward_backward if one else None)]
        rows.append([*cells, f"{net.images_per_second:.1f}"])
    return table(
        [*columns, ">images/s\nfused"],
        rows,
        title=f"milliseconds on {times[0].device}, phase {times[0].phase}",
    )


def layer_table(times: NetTimes) -> Table:
    """Returns the times of each layer, in milliseconds, as `caffe time` lists them."""
    total = sum(layer.forward + layer.backward for layer in times.layers) or 1.0
    rows = [
        (
            layer.name, layer.type, _text(layer.forward), _text(layer.backward) if layer.backward else "",
            f"{(layer.forward + layer.backward) / total:.1%}",
        )
        for layer in times.layers
    ]  # fmt: skip
    sums = (sum(layer.forward for layer in times.layers), sum(layer.backward for layer in times.layers))
    return table(
        ("layer", "type", ">forward ms", ">backward ms", ">share"), rows,
        title=f"{times.net}, batch {times.batch_size}, phase {times.phase}, {times.device}, layer by layer",
        footer=("sum", "", *(_text(value) for value in sums), ""),
    )  # fmt: skip


def has_no_backward(times: NetTimes) -> bool:
    """Whether a net in phase TRAIN had no loss to go back from."""
    return times.phase == "TRAIN" and times.fused.forward_backward is None


def _batch_size(net: Net) -> int:
    shapes = [shape for layer in net.fed for shape in layer.facts.tops if shape]
    return shapes[0][0] if shapes else 1


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 4)


def _text(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.3g}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def _pass_json(times: PassTimes) -> dict[str, float | None]:
    both = times.forward_backward
    return {"forward": _ms(times.forward), "forward_backward": None if both is None else _ms(both)}

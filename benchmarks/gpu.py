"""Part `gpu`: forward-backward on a CUDA device, ours beside hand-written PyTorch, if there is one."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.measure import run_module, take_turns
from benchmarks.nets import TIMED, TimedNet, render_train_net
from benchmarks.page import Row, Section, Settings
from benchmarks.passes import mean_ms

TITLE: Final = "gpu: forward and backward in phase TRAIN"
_ITERATIONS: Final = 50


def measure(settings: Settings) -> Section:
    """Measures every net in both precisions, or says that there is no device."""
    device = run_module("benchmarks.libraries")["cuda"]
    if device is None:
        return Section(title=TITLE, value_is="", notes=["Not measured: PyTorch sees no CUDA device here."])
    rows = [_measure(timed, precision, settings) for timed in TIMED for precision in ("fp32", "bf16")]
    return Section(title=TITLE, value_is="times as fast", rows=rows, notes=[f"On {device}."])


def _measure(timed: TimedNet, precision: str, settings: Settings) -> Row:
    net = settings.scratch / f"{timed.name}.prototxt"
    net.write_text(render_train_net(timed))
    options = {"device": "cuda", "precision": precision}
    samples = take_turns(
        {
            "ours": partial(mean_ms, "ours", timed, _ITERATIONS, net=net, **options),
            "plain": partial(mean_ms, "plain", timed, _ITERATIONS, **options),
        },
        repeats=settings.repeats,
    )
    ours, plain = samples["ours"], samples["plain"]
    return Row(
        what=f"{timed.name}, batch {timed.batch_size}, {precision}", ours=ours.show("ms"),
        peer="plain PyTorch", theirs=plain.show("ms"), value=plain.median / ours.median,
    )  # fmt: skip

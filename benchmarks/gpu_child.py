"""Times training iterations of one net on one device in this process, and prints what they gave as JSON.

    python -m benchmarks.gpu_child ours|by-hand FILE --name NET --device DEVICE --precision fp32|bf16
                                   --means plain|graph|compile [--order …] [--iterations N] [--write FILE]

Both sides do forward, backward and the update on a batch that lies on the device, and look at the loss of
each iteration. `graph` replays the whole iteration as one CUDA graph, `compile` has torch.compile make
the forward and its gradient. With --write nothing is timed: the loss and the gradients of one pass are
written, from weights and a batch that are the same on every device.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.nets import train_net
from benchmarks.plain_nets import build
from caffeflow.engine.net import Net
from caffeflow.engine.solver import Solver
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.proto.caffe_pb2 import SolverParameter

_WARM_UP: Final = 10
_RATE: Final = 1e-6  # so small that no net comes to where its loss is no number
Iterate = Callable[[], Tensor]
"""One iteration; returns the loss, still on the device."""


def main() -> None:
    """Reads what is asked for, does it, prints."""
    asked = _arguments()
    net = train_net(asked.file, device=torch.device(asked.device))
    feeds = {
        name: tuple(top.to(net.device) for top in tops) for name, tops in synthetic_feeds(net, seed=0).items()
    }
    if asked.write is not None:
        torch.backends.cudnn.allow_tf32 = False
        torch.save(one_pass(net, feeds, precision=asked.precision), asked.write)
        print("{}")
        return
    iterate = (ours if asked.side == "ours" else by_hand)(net, feeds, asked)
    if asked.means == "graph":
        iterate = as_graph(iterate)
    print(
        json.dumps({"ms": mean_ms(iterate, iterations=asked.iterations, is_cuda=net.device.type == "cuda")})
    )


def ours(net: Net, feeds: Feeds, asked: argparse.Namespace) -> Iterate:
    """Returns an iteration of our engine: what `Solver.step` does, but for the reading of the loss."""
    executor = FusedExecutor(net, precision=asked.precision)
    parameters = SolverParameter(
        base_lr=_RATE, lr_policy="fixed", momentum=0.9, weight_decay=5e-4, type="SGD"
    )
    solver = Solver(parameters, net, executor, channels_last=executor.channels_last)
    forward = torch.compile(executor.forward) if asked.means == "compile" else executor.forward

    def iterate() -> Tensor:
        solver.flat.grad.zero_()
        loss: Tensor = forward(feeds).loss
        executor.backward()
        solver.apply_update()
        return loss

    return iterate


def by_hand(net: Net, feeds: Feeds, asked: argparse.Namespace) -> Iterate:
    """Returns an iteration as one writes it in PyTorch."""
    data, label = next(iter(feeds.values()))
    channels_last = asked.order == "channels_last"
    if channels_last:
        data = data.contiguous(memory_format=torch.channels_last)
    plain = build(asked.name, channels_last=channels_last, device=asked.device)
    optimizer = torch.optim.SGD(plain.parameters(), lr=_RATE, momentum=0.9, weight_decay=5e-4)
    forward = torch.compile(plain) if asked.means == "compile" else plain

    def iterate() -> Tensor:
        # A CUDA graph writes into the same gradients each time.
        optimizer.zero_grad(set_to_none=asked.means != "graph")
        with torch.autocast(net.device.type, torch.bfloat16, enabled=asked.precision == "bf16"):
            loss = functional.cross_entropy(forward(data), label.long())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return iterate


def as_graph(iterate: Iterate) -> Iterate:
    """Returns an iteration that replays the kernels of another one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            iterate()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = iterate()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def mean_ms(iterate: Iterate, *, iterations: int, is_cuda: bool) -> float:
    """Returns the mean time of an iteration after some that do not count."""
    for _ in range(_WARM_UP):
        iterate()
    if is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    total = sum(float(iterate()) for _ in range(iterations))
    assert total > 0, f"the losses add up to {total}"
    return (time.perf_counter() - start) / iterations * 1000


def one_pass(net: Net, feeds: Feeds, *, precision: str) -> dict[str, Tensor]:
    """Returns the loss of one pass, and the gradients by layer and number."""
    executor = FusedExecutor(net, precision="bf16" if precision == "bf16" else "fp32")
    found = {"loss": executor.forward(feeds).loss}
    executor.backward()
    for blob in net.learned:
        gradient = blob.tensors[0].grad
        if gradient is not None:
            found[f"{blob.layer} {blob.index}"] = gradient
    return {name: value.detach().float().cpu() for name, value in found.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["ours", "by-hand"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--precision", choices=["fp32", "bf16"], required=True)
    parser.add_argument("--means", choices=["plain", "graph", "compile"], default="plain")
    parser.add_argument("--order", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()

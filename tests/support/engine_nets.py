"""Small nets for the engine's tests, and values to feed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from caffeflow.engine.net import Net
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import NetRole, Phase, filter_net, net_state
from caffeflow.proto.text import NetFile, parse

MSRA = 'weight_filler { type: "msra" } bias_filler { type: "uniform" min: -0.1 max: 0.1 }'


def net_of(text: str, *, phase: str = "TRAIN", seed: int | None = 3, shares: Net | None = None) -> Net:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state(phase)))
    return Net(graph, infer(graph), seed=seed, shares=shares)


def role_net(text: str, *, phase: Phase = "TRAIN", name: str = "net", seed: int | None = 3) -> Net:
    """Returns the net of a text as the commands build the net of a file."""
    return net_of_message(parse(text, NetParameter(), source=name), phase=phase, name=name, seed=seed)


def net_of_message(net: NetParameter, *, phase: Phase, name: str = "net", seed: int | None = 3) -> Net:
    """Returns the net of a message as the commands build the net of a file."""
    state = net_state(phase)
    file = NetFile(net=net, path=Path(name), lines={})
    return Net.of(NetRole(net_file=file, net=filter_net(net, state), state=state, label=name), seed=seed)


def solver_of(text: str) -> SolverParameter:
    policy = "" if "lr_policy" in text else 'lr_policy: "fixed" '
    return parse(policy + text, SolverParameter(), source="solver")


def layer(name: str, kind: str, bottoms: str, tops: str, settings: str = "") -> str:
    links = "".join(f' bottom: "{blob}"' for blob in bottoms.split())
    links += "".join(f' top: "{blob}"' for blob in tops.split())
    return f'layer {{ name: "{name}" type: "{kind}"{links} {settings} }}\n'


def images(*shape: int, classes: int = 5) -> str:
    """An Input layer with images and labels."""
    dims = " ".join(f"dim: {dim}" for dim in shape)
    shapes = f"shape {{ {dims} }} shape {{ dim: {shape[0]} }}"
    return layer("data", "Input", "", "data label", f"input_param {{ {shapes} }}")


def batch(net: Net, *, seed: int = 0, classes: int = 5) -> dict[str, tuple[torch.Tensor, ...]]:
    """One batch for every fed layer; tops with one axis are labels."""
    rng = np.random.default_rng(seed)

    def values(shape: tuple[int, ...]) -> torch.Tensor:
        made = rng.integers(0, classes, shape) if len(shape) == 1 else rng.normal(size=shape)
        return torch.from_numpy(made.astype(np.float32))

    return {fed.name: tuple(values(shape) for shape in fed.facts.tops) for fed in net.fed}


def convolution(name: str, bottom: str, top: str, outputs: int, kernel: int, extra: str = "") -> str:
    settings = f"num_output: {outputs} kernel_size: {kernel} {MSRA} {extra}"
    return layer(name, "Convolution", bottom, top, f"convolution_param {{ {settings} }}")


def inner_product(name: str, bottom: str, top: str, outputs: int, extra: str = "") -> str:
    settings = f"inner_product_param {{ num_output: {outputs} {MSRA} }}"
    return layer(name, "InnerProduct", bottom, top, f"{settings} {extra}")


def pooling(name: str, bottom: str, top: str, settings: str = "pool: MAX kernel_size: 2 stride: 2") -> str:
    return layer(name, "Pooling", bottom, top, f"pooling_param {{ {settings} }}")


def norm(name: str, bottom: str, top: str, *, scale_bias: bool = True) -> str:
    """BatchNorm, and Scale in place over its top."""
    filler = 'filler { type: "uniform" min: 0.5 max: 1.5 }'
    bias = 'bias_term: true bias_filler { type: "uniform" min: -0.5 max: 0.5 }' if scale_bias else ""
    return layer(name, "BatchNorm", bottom, top) + layer(
        f"{name}/scale", "Scale", top, top, f"scale_param {{ {filler} {bias} }}"
    )


def softmax_loss(bottom: str, extra: str = "") -> str:
    return layer("loss", "SoftmaxWithLoss", f"{bottom} label", "loss", extra)


SMALL = (
    images(3, 2, 11, 7)
    + convolution("conv1", "data", "conv1", 7, 3)
    + layer("relu1", "ReLU", "conv1", "conv1")
    + pooling("pool1", "conv1", "pool1")
    + inner_product("ip1", "pool1", "ip1", 11)
    + layer("relu2", "ReLU", "ip1", "ip1")
    + inner_product("ip2", "ip1", "ip2", 5)
    + layer("accuracy", "Accuracy", "ip2 label", "accuracy")
    + softmax_loss("ip2")
)
"""A classifier with in-place layers and an Accuracy beside its loss."""

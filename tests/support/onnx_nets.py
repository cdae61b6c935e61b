"""Small nets as ONNX: their random weights, and both onnxruntime and the engine on the same values."""

from __future__ import annotations

import numpy as np
import torch

from caffeflow.engine.training import FusedExecutor
from caffeflow.export.onnx_export import export_onnx
from caffeflow.export.onnx_model import OnnxNet
from caffeflow.export.onnx_run import run_onnx
from caffeflow.layers.inference import infer
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse
from tests.support.engine_nets import layer, net_of


def images(*shape: int, name: str = "data") -> str:
    """An Input layer with one blob."""
    dims = " ".join(f"dim: {dim}" for dim in shape)
    return layer(name, "Input", "", name, f"input_param {{ shape {{ {dims} }} }}")


def message_of(text: str) -> NetParameter:
    """The net that a text stands for."""
    return parse(f'name: "small" {text}', NetParameter(), source="<small>")


def weights_of(text: str) -> list[LayerArrays]:
    """Weights of every layer that learns, around 1, so that variances are positive too."""
    rng = np.random.default_rng(7)
    return [
        LayerArrays(
            name=facts.name,
            type=facts.spec.type,
            bottoms=(),
            tops=(),
            arrays=tuple(rng.uniform(0.5, 1.5, blob.shape).astype(np.float32) for blob in facts.blobs),
        )
        for facts in infer(build_graph(message_of(text))).layers
        if facts.blobs
    ]


def export(text: str, **settings) -> OnnxNet:
    """The net as ONNX, with such weights."""
    return export_onnx(message_of(text), weights_of(text), **settings)


def run_both(text: str, **settings) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the engine and what onnxruntime make of the same normal values, by output."""
    made = export(text, **settings)
    net = net_of(text, phase="TEST")
    net.load(weights_of(text))
    rng = np.random.default_rng(11)
    feeds = {
        fed.name: tuple(torch.from_numpy(rng.normal(size=top).astype(np.float32)) for top in fed.facts.tops)
        for fed in net.fed
    }
    ours = FusedExecutor(net, keep=list(made.blobs.values())).forward(feeds).outputs
    inputs = {
        top.blob: value.numpy()
        for fed in net.fed
        for top, value in zip(fed.facts.node.tops, feeds[fed.name], strict=True)
    }
    theirs = run_onnx(b"".join(made.pieces()), {name: inputs[name] for name in made.inputs}, warns=True)
    return {name: (ours[blob].numpy(), theirs[name]) for name, blob in made.blobs.items()}


def assert_same(text: str, **settings) -> None:
    """Both make the same of a net."""
    for name, (ours, theirs) in run_both(text, **settings).items():
        assert ours.shape == theirs.shape, name
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5 * np.abs(ours).max(), err_msg=name)

"""A net fine-tuned on small pictures keeps the shapes of its published weights, whatever its strides are."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.render.catalog import Net
from caffeflow.render.dataset import stand_in
from caffeflow.render.render import render_files, resolve
from caffeflow.render.resolve import Places
from caffeflow.workflows.finetune_net import open_origin

PLACES = Places(out_dir=Path("models/x"), working_dir=Path("/here"))


def learned(net: Net, size: str) -> dict[str, list[tuple[int, ...]]]:
    resolution = resolve(net, stand_in(net, Path("data")), PLACES, {"input_size": size})
    text = render_files(resolution, command="").texts["deploy.prototxt"]
    message = filter_net(parse(text, NetParameter(), source="deploy"), net_state("TEST"))
    shapes = infer(build_graph(message))
    return {layer.name: [blob.shape for blob in layer.blobs] for layer in shapes.layers if layer.blobs}


@pytest.mark.parametrize(
    "name", ["mobilenet-v1", "mobilenet-v2", "resnet50", "resnet50:torchvision", "regnetx-800mf"]
)
def test_published_weights_fit_at_32_pixels(name: str) -> None:
    net = open_origin(name).net
    assert learned(net, "32") == learned(net, "224")

"""ssdlite-coco and ssdlite-voc against the published prototxts, message by message: 0 layers differ.

Not compared: the LMDB and the label map that a data layer names.
"""

from __future__ import annotations

import pytest

from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from caffeflow.render.render import render_in_memory
from tests.support.published import check_equal, published_file, without_places

REPOSITORY = "MobileNetv2-SSDLite"
LAYERS = {"train": 227, "test": 231, "deploy": 229}


@pytest.mark.parametrize("data", ["coco", "voc"])
@pytest.mark.parametrize("stage", list(LAYERS))
def test_every_layer_is_the_published_one(data: str, stage: str) -> None:
    published = published_file(REPOSITORY, f"ssdlite/{data}/{stage}.prototxt").read_text()
    rendered = render_in_memory(f"ssdlite-{data}").texts[f"{stage}.prototxt"]
    assert check_equal(rendered, published) == LAYERS[stage]


def test_relu_and_caffe_s_padding_give_the_published_net_without_both() -> None:
    published = published_file(REPOSITORY, "ssdlite/deploy.prototxt").read_text()
    options = {"activation": "relu", "padding": "caffe"}
    rendered = render_in_memory("ssdlite-coco", assignments=options).texts["deploy.prototxt"]
    assert check_equal(rendered, published) == 218


def test_the_backbone_with_batch_norm_is_the_published_one_of_the_full_ssd() -> None:
    published = parse(
        published_file(REPOSITORY, "coco/deploy.prototxt").read_text(), NetParameter(), source="published"
    )
    options = {"activation": "relu", "bn": "true"}
    text = render_in_memory("ssdlite-coco", assignments=options).texts["deploy.prototxt"]
    ours = parse(text, NetParameter(), source="rendered")
    # Up to the Conv_1 block both are MobileNet v2; what follows is not "lite" there.
    end = next(i for i, layer in enumerate(published.layer) if layer.name == "Conv_1/relu") + 1
    assert end == 207
    for mine, theirs in zip(ours.layer[:end], published.layer[:end], strict=True):
        assert without_places(mine) == without_places(theirs)

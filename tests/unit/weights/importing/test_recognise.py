from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from caffeflow.weights.importing.counterpart import Counterpart
from caffeflow.weights.importing.recognise import COUNTER, FAMILIES, find_family, importable, recognise
from tests.support.torchvision_nets import PARAMETERS, MobileNetV2, RegNetX, ResNet, build

Shapes = dict[str, tuple[int, ...]]


def shapes_of(net: torch.nn.Module) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}


@pytest.fixture(autouse=True)
def only_shapes() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_net_is_known_by_its_keys_which_are_all_used(name: str) -> None:
    net = build(name)
    # The keys and shapes are torchvision's only if the number of parameters is the one that it publishes.
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]
    shapes = shapes_of(net)
    found = recognise(shapes)
    assert found.share == 1
    assert (found.counterpart.torch_name, found.counterpart.refused) == (name, "")
    assert set(found.counterpart.keys) == {key for key in shapes if not key.endswith(COUNTER)}
    assert len(list(found.counterpart.keys)) == len(set(found.counterpart.keys))


def test_all_that_can_be_imported_is_listed() -> None:
    assert {name for name, _ in importable()} == set(PARAMETERS)
    assert len(FAMILIES) == 4
    assert find_family("regnetx-1.6gf") is find_family("regnetx-400mf") is not None
    assert find_family("lenet") is None


def counterpart(net: torch.nn.Module) -> Counterpart:
    return recognise(shapes_of(net)).counterpart


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_mobilenets_width_is_read_off_the_file(width: float) -> None:
    assert counterpart(MobileNetV2(width=width)).variables == {"net.width": str(width)}


def test_regnets_sizes_are_read_off_the_file() -> None:
    small = counterpart(build("regnet_x_400mf"))
    assert small.net == "regnetx-400mf"
    # 384 by the authors' rounding, 400 by torchvision's.
    assert small.variables == {
        "net.depths": "1,2,7,12", "net.widths": "32,64,160,400", "net.group_width": "16",
    }  # fmt: skip
    big = counterpart(RegNetX(depth=23, first=80, slope=49.56, factor=2.88, group_width=120))
    assert big.variables == {
        "net.depths": "2,5,15,1", "net.widths": "120,240,720,1920", "net.group_width": "120",
    }  # fmt: skip


def test_a_narrow_resnet_is_no_other_net() -> None:
    assert counterpart(ResNet(width=32)).variables == {"net.width": "0.5"}


def renamed(shapes: Shapes, old: str, new: str) -> Shapes:
    return {key.replace(old, new): shape for key, shape in shapes.items()}


def test_nets_of_a_known_family_that_render_lacks_are_named() -> None:
    for depths, name in (((3, 4, 23, 3), "resnet101"), ((3, 8, 36, 3), "resnet152")):
        found = counterpart(ResNet(depths=depths))
        assert (found.torch_name, bool(found.refused)) == (name, True)
    shapes = shapes_of(ResNet())
    wide = {key: (128, 128, 3, 3) if "conv2" in key else shape for key, shape in shapes.items()}
    assert recognise(wide).counterpart.torch_name == "wide_resnet50_2"
    grouped = {key: (128, 4, 3, 3) if "conv2" in key else shape for key, shape in shapes.items()}
    assert recognise(grouped).counterpart.torch_name == "resnext50_32x4d"
    basic = {key: shape for key, shape in shapes.items() if "conv3" not in key and "bn3" not in key}
    assert recognise(basic).counterpart.torch_name == "resnet34"


def test_squeeze_and_excitation_and_other_depths_of_vgg_are_named() -> None:
    shapes = shapes_of(build("regnet_x_400mf"))
    shapes["trunk_output.block1.block1-0.f.se.fc1.weight"] = (8, 32, 1, 1)
    assert "squeeze-and-excitation" in recognise(shapes).counterpart.refused
    vgg = shapes_of(build("vgg16"))
    deeper = vgg | {f"features.{number}.weight": (512, 512, 3, 3) for number in (30, 32, 34)}
    assert recognise(deeper).counterpart.torch_name == "vgg19"


def test_a_replaced_classifier_does_no_harm() -> None:
    shapes = renamed(shapes_of(build("resnet50")), "fc.", "head.1.")
    found = recognise(shapes)
    assert found.counterpart.torch_name == "resnet50"
    assert 0.98 < found.share < 1


def test_keys_of_nothing_known_are_like_nothing() -> None:
    assert not recognise({"encoder.layer.0.attention.weight": (7, 7), "fc.weight": (10, 5)}).is_likely
    assert not recognise({}).is_likely

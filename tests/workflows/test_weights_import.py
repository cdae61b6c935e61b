from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from caffeflow.cli.main import run
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.net import Net
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.binary import read_caffemodel
from caffeflow.weights.torch_files import read_state_dict
from caffeflow.workflows.open_net import Ask, open_net
from tests.support.imported_nets import data_layer, logits_of, torch_logits, worst
from tests.support.torchvision_nets import MobileNetV2, ResNet, build, calibrate, picture

TOLERANCE = 1e-4  # of the largest logit
SLOW = [pytest.mark.slow]


def save(net: torch.nn.Module, path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(net.state_dict(), path)
    else:
        torch.save(net.state_dict(), path)


@pytest.mark.parametrize(
    ("name", "form", "becomes"),
    [
        ("mobilenet_v2", "pth", "mobilenet-v2:paper"),
        ("regnet_x_400mf", "safetensors", "regnetx-400mf"),
        pytest.param("regnet_x_800mf", "pth", "regnetx-800mf", marks=SLOW),
        pytest.param("regnet_x_1_6gf", "safetensors", "regnetx-1.6gf", marks=SLOW),
        pytest.param("regnet_x_3_2gf", "pth", "regnetx-3.2gf", marks=SLOW),
        pytest.param("resnet50", "pth", "resnet50:torchvision", marks=SLOW),
        pytest.param("vgg16", "safetensors", "vgg16", marks=SLOW),
        pytest.param("vgg16_bn", "pth", "vgg16", marks=SLOW),
    ],
)
def test_logits_are_those_of_torchvisions_net_at_full_size(
    name: str, form: str, becomes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    net = calibrate(build(name))
    path, out = Path(f"{name}.{form}"), Path("x.caffemodel")
    save(net, path)
    words = ["weights", "import", str(path), "--out", str(out), "--render", "net", "--json"]
    assert run(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["torch"], report["net"], report["new"], report["unused"]) == (name, becomes, [], [])
    rgb = picture(224, seed=99)
    theirs = torch_logits(net, rgb)
    assert theirs.std() > 0.3  # outputs tell pictures apart
    try:
        assert worst(logits_of(Path("net"), out, rgb), theirs) < TOLERANCE
    finally:
        path.unlink()
        out.unlink()  # vgg16's are half a gigabyte each


@pytest.mark.slow
def test_torchvisions_own_modules_agree() -> None:
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    for name in ("mobilenet_v2", "resnet50", "regnet_x_400mf", "regnet_x_800mf", "regnet_x_1_6gf",
                 "regnet_x_3_2gf", "vgg16", "vgg16_bn"):  # fmt: skip
        net = calibrate(models.get_model(name, weights=None))
        ours = build(name).state_dict()
        assert list(net.state_dict()) == list(ours)
        assert [tensor.shape for tensor in net.state_dict().values()] == [
            each.shape for each in ours.values()
        ]
        save(net, Path("x.pth"))
        assert run(["weights", "import", "x.pth", "--render", "net", "--force"]) == 0
        rgb = picture(224, seed=99)
        assert worst(logits_of(Path("net"), Path("x.caffemodel"), rgb), torch_logits(net, rgb)) < TOLERANCE


@pytest.fixture(scope="module")
def small() -> MobileNetV2:
    """The narrowest net, for seven classes."""
    net = MobileNetV2(width=0.35, classes=7)
    calibrate(net, size=96)
    return net


@pytest.fixture
def small_file(small: MobileNetV2) -> Path:
    path = Path("small.pth")
    torch.save(small.state_dict(), path)
    return path


def test_classes_and_width_are_carried_over_and_the_pair_is_ready(
    small: MobileNetV2, small_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "import", str(small_file), "--render", "net"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == "small.caffemodel"
    assert "mobilenet_v2 -> mobilenet-v2:paper" in shown.out
    assert "mean_value: 103.53 mean_value: 116.28 mean_value: 123.675" in shown.out
    assert "RGB to BGR" in shown.out
    assert "unused keys: none (and 52 num_batches_tracked" in shown.err
    assert "no dataset is given" in shown.err
    assert list(data_layer(Path("net")).transform_param.mean_value) == pytest.approx(
        [103.53, 116.28, 123.675]
    )
    head = {layer.name: layer for layer in read_caffemodel("small.caffemodel")}["fc7"]
    assert [array.shape for array in head.arrays] == [(7, 1280, 1, 1), (7,)]
    rgb = picture(224, seed=5)
    ours = logits_of(Path("net"), Path("small.caffemodel"), rgb)
    assert worst(ours, torch_logits(small, rgb)) < TOLERANCE


def test_pictures_through_the_nets_own_data_layer_give_the_same(small: MobileNetV2, small_file: Path) -> None:
    whole = [picture(256, seed=seed) for seed in (1, 2)]
    Path("pictures").mkdir()
    for number, rgb in enumerate(whole):
        pixels = rgb.flip(0).permute(1, 2, 0).numpy().astype(np.uint8)
        assert cv2.imwrite(f"pictures/{number}.png", pixels)
    Path("list.txt").write_text("0.png 0\n1.png 1\n")
    places = {
        "backend": "imagedata",
        "test_source": "list.txt",
        "test_root": "pictures/",
        "test_batch_size": "2",
    }
    sets = [word for name, text in places.items() for word in ("--set", f"data.{name}={text}")]
    assert run(["weights", "import", str(small_file), "--render", "net", *sets]) == 0
    opened = open_net(Ask(net="net/train_val.prototxt"))
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(read_caffemodel("small.caffemodel"))
    layer = data_layer(Path("net"))
    feed = open_feed(layer, phase="TEST", seed=0)
    made = FusedExecutor(net, keep=["fc7"]).forward({layer.name: feed.next()}).outputs["fc7"].numpy()
    feed.close()
    for row, rgb in zip(made.reshape(2, -1), whole, strict=True):
        assert worst(row, torch_logits(small, rgb[:, 16:240, 16:240])) < TOLERANCE


def test_both_forms_of_files_give_the_same_caffemodel(small: MobileNetV2, small_file: Path) -> None:
    save_file(small.state_dict(), "other.safetensors")
    assert run(["weights", "import", str(small_file)]) == 0
    assert run(["weights", "import", "other.safetensors"]) == 0
    assert Path("small.caffemodel").read_bytes() == Path("other.caffemodel").read_bytes()


@pytest.mark.parametrize("scale", ["0.017", "0.017,0.02,0.015"])
def test_a_scale_of_the_data_layer_is_taken_out_of_the_weights(
    scale: str, small: MobileNetV2, small_file: Path
) -> None:
    assert run(["weights", "import", str(small_file), "--render", "net", "--set", f"data.scale={scale}"]) == 0
    rgb = picture(224, seed=6)
    if "," in scale:  # three factors are a layer of the net
        opened = open_net(Ask(net="net/deploy.prototxt"))
        assert "data_scale" in [layer.name for layer in opened.net.layer]
    ours = logits_of(Path("net"), Path("small.caffemodel"), rgb)
    assert worst(ours, torch_logits(small, rgb)) < TOLERANCE


def test_a_net_that_was_fed_otherwise_says_so(small: MobileNetV2, small_file: Path) -> None:
    words = ["--rgb-mean", "0.5,0.4,0.3", "--rgb-std", "0.5,0.25,0.125"]
    assert run(["weights", "import", str(small_file), "--render", "net", *words]) == 0
    rgb = picture(224, seed=7)
    mean, std = (torch.tensor(values)[:, None, None] for values in ([0.5, 0.4, 0.3], [0.5, 0.25, 0.125]))
    with torch.no_grad():
        theirs = small(((rgb / 255 - mean) / std)[None])[0].numpy()
    assert worst(logits_of(Path("net"), Path("small.caffemodel"), rgb), theirs) < TOLERANCE


def test_half_precision_and_checkpoints_of_trainings_are_taken(small: MobileNetV2) -> None:
    halves = {f"module.{key}": value.half() if value.is_floating_point() else value
              for key, value in small.state_dict().items()}  # fmt: skip
    torch.save({"state_dict": halves, "epoch": 3}, "half.pth")
    assert run(["weights", "import", "half.pth"]) == 0
    layers = {layer.name: layer for layer in read_caffemodel("half.caffemodel")}
    wanted = small.state_dict()["features.18.0.weight"].half().float().numpy()
    np.testing.assert_array_equal(layers["conv6_4"].arrays[0], wanted)


def test_a_replaced_classifier_is_new_until_it_is_mapped(
    small: MobileNetV2, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {
        key.replace("classifier.1", "classifier.1.0"): value for key, value in small.state_dict().items()
    }
    torch.save(state, "own.pth")
    assert run(["weights", "import", "own.pth", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["new"] == ["fc7"]
    assert report["unused"] == ["classifier.1.0.weight", "classifier.1.0.bias"]
    assert "fc7" not in [layer.name for layer in read_caffemodel("own.caffemodel")]
    words = ["weights", "import", "own.pth", "--force", "--json"]
    assert run([*words, "--map", "classifier.1.0=classifier.1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["new"], report["unused"]) == ([], [])
    assert "--set net.classes=7" in report["render"]
    assert run([*words, "--map", "head=classifier.1"]) == 2
    assert "no key is 'head'" in capsys.readouterr().err


def refused(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of an import that fails and leaves nothing behind."""
    before = sorted(Path().rglob("*"))
    assert run(["weights", "import", *words]) == code
    assert sorted(Path().rglob("*")) == before
    return capsys.readouterr().err


def test_values_that_are_no_numbers_are_named_by_key(
    small: MobileNetV2, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {key: value.clone() for key, value in small.state_dict().items()}
    state["features.3.conv.1.0.weight"][1, 0, 2] = float("nan")
    state["features.18.1.running_var"][5] = float("inf")
    torch.save(state, "bad.pth")
    message = refused(["bad.pth"], 6, capsys)
    assert "nan or infinite: 'features.3.conv.1.0.weight' (3 of" in message
    assert "'features.18.1.running_var' (1 of 1,280)" in message
    state["features.3.conv.1.0.weight"] = torch.ones(48, 1, 3, 3, dtype=torch.int8)
    torch.save(state, "bad.pth")
    assert "'features.3.conv.1.0.weight' is int8" in refused(["bad.pth"], 6, capsys)


def test_another_net_is_told_by_a_table(small: MobileNetV2, capsys: pytest.CaptureFixture[str]) -> None:
    state = small.state_dict()
    state["features.5.conv.1.0.weight"] = torch.ones(48, 1, 5, 5)
    del state["features.9.conv.3.bias"]
    state["features.9.conv.4.weight"] = torch.ones(3)
    torch.save(state, "odd.pth")
    message = refused(["odd.pth"], 6, capsys)
    assert "odd.pth: 3 keys are not those of mobilenet_v2, which becomes mobilenet-v2:paper" in message
    table = [line.split() for line in message.splitlines()[1:]]
    assert table == [
        ["key", "expected", "found"],
        ["features.5.conv.1.0.weight", "96x1x3x3", "48x1x5x5"],
        ["features.9.conv.3.bias", "24", "missing"],
        ["features.9.conv.4.weight", "no", "such", "key", "3"],
    ]


def test_the_wrong_net_is_told_which_it_is(small_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([str(small_file), "--to", "resnet50"], 6, capsys)
    assert (
        "those of mobilenet_v2, not of a counterpart of 'resnet50'; give --to mobilenet-v2:paper" in message
    )
    assert "no PyTorch net is known to be 'lenet'" in refused([str(small_file), "--to", "lenet"], 2, capsys)
    torch.save({"encoder.weight": torch.ones(3, 5)}, "other.pth")
    assert "is of no net that can be imported" in refused(["other.pth"], 6, capsys)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--to", "mobilenet-v2:shicai"], 3, "net.downsample_at is 96"),
        (["--set", "activation=relu"], 3, "computes what the net does with clip or relu6"),
        (["--set", "net.input_size=32"], 3, "net.strides is 1,1,2,2,2 (input of 48 pixels or less)"),
        (["--set", "net.channels=1"], 3, "--set net.channels=1: the file says 3"),
        (["--set", "net.classes=57"], 3, "the file says 7; leave it out ('classifier.1.weight')"),
        (["--set", "width=0.5"], 3, "--set net.width=0.5: the file says 0.35"),
        (["--set", "data.mean=104,117,123"], 2, "--rgb-mean"),
        (["--rgb-std", "0.2,0,0.2"], 2, "no std of 0"),
        (["--rgb-mean", "0.5"], 2, "expected three numbers"),
        (["--map", "fc"], 2, "expected OLD=NEW"),
    ],
)
def test_what_would_compute_something_else_is_refused(
    words: list[str], code: int, expected: str, small_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused([str(small_file), "--render", "net", *words], code, capsys)


def test_a_dataset_is_for_the_net_that_is_rendered(
    small_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give both or neither" in refused([str(small_file), "--data", "nowhere"], 2, capsys)
    words = [str(small_file), "--data", "nowhere", "--render", "net"]
    assert "nowhere" in refused(words, 5, capsys)


def test_a_dataset_of_smaller_images_would_make_it_another_net(
    small_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(14):
        path = Path(f"raw/{number % 7}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), rng.integers(0, 255, (40, 40, 3), np.uint8))
    words = ["--resize", "40x40", "--val-fraction", "0.5", "--out", "data/tiny"]
    assert run(["prepare", "folder", "raw", *words]) == 0
    capsys.readouterr()
    message = refused([str(small_file), "--render", "net"], 3, capsys)
    assert "net.strides is 1,1,2,2,2" in message


def test_other_sizes_of_input_are_fine_where_strides_stay(small: MobileNetV2, small_file: Path) -> None:
    words = ["--set", "net.input_size=96", "--render", "net"]
    assert run(["weights", "import", str(small_file), *words]) == 0
    rgb = picture(96, seed=8)
    assert worst(logits_of(Path("net"), Path("small.caffemodel"), rgb), torch_logits(small, rgb)) < TOLERANCE


def test_resnets_pooling_must_round_down_one_way_or_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    net = calibrate(ResNet(width=32, classes=11))
    save(net, Path("narrow.safetensors"))
    words = ["weights", "import", "narrow.safetensors", "--to", "resnet50"]
    assert run([*words, "--render", "net"]) == 0
    assert "resnet50 -> resnet50:torchvision" in capsys.readouterr().out
    rgb = picture(224, seed=3)
    theirs = torch_logits(net, rgb)
    assert worst(logits_of(Path("net"), Path("narrow.caffemodel"), rgb), theirs) < TOLERANCE
    assert run([*words, "--force", "--render", "floor", "--set", "net.pool=floor"]) == 0
    assert worst(logits_of(Path("floor"), Path("narrow.caffemodel"), rgb), theirs) < TOLERANCE
    capsys.readouterr()
    message = refused([*words[2:], "--force", "--set", "net.pool=caffe"], 3, capsys)
    assert "net.pool is caffe (given), and resnet50 computes what the net does with slice or floor" in message
    assert "net.stride_in is 1x1" in refused([*words[2:-1], "resnet50:he", "--force"], 3, capsys)


def test_files_are_replaced_only_with_force(small_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.caffemodel").write_bytes(b"mine")
    assert "--force" in refused([str(small_file)], 2, capsys)
    Path("net").mkdir()
    Path("net/deploy.prototxt").write_text("mine")
    assert "has deploy.prototxt already" in refused(
        [str(small_file), "--out", "x.caffemodel", "--render", "net"], 2, capsys
    )
    assert run(["weights", "import", str(small_file), "--render", "net", "--force"]) == 0
    assert Path("net/deploy.prototxt").read_text() != "mine"


def test_a_file_that_needs_code_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)), "whole.pth")
    message = refused(["whole.pth"], 6, capsys)
    assert "would have to be run" in message
    assert "torch.save(model.state_dict()" in message


def test_the_command_that_is_told_renders_the_net_that_fits(
    small: MobileNetV2, small_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "import", str(small_file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["render"]
    assert run([*told.split()[1:], "--out", "mine"]) == 0
    rgb = picture(224, seed=9)
    assert worst(logits_of(Path("mine"), Path("small.caffemodel"), rgb), torch_logits(small, rgb)) < TOLERANCE
    assert len(read_state_dict(small_file)) == 314

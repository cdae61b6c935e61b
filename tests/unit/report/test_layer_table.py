from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow import layers
from caffeflow.cli.main import run
from caffeflow.layers.spec import SPECS
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.report.layer_facts import families, layer_entries, split_docstring
from caffeflow.report.layer_page import layers_page
from caffeflow.report.layer_table import counts


def test_every_type_is_listed_once() -> None:
    types = [entry.type for entry in layer_entries()]
    assert sorted(types) == sorted([*SPECS, *UNSUPPORTED])
    assert len(types) == len(set(types))
    assert types[: len(SPECS)] == sorted(SPECS)


def test_counts_are_in_words() -> None:
    found = {entry.type: (entry.bottoms, entry.tops) for entry in layer_entries()}
    assert found["Convolution"] == ("1 or more", "one a bottom")
    assert found["Pooling"] == ("1", "1 or 2")
    assert found["Input"] == ("0", "1 or more")
    assert found["Silence"] == ("1 or more", "0")


def test_each_type_names_the_file_that_describes_it() -> None:
    folder = Path(layers.__file__).parent
    found = {entry.type: entry.file for entry in layer_entries() if entry.runs}
    assert all(f'"{name}"' in (folder / file).read_text() for name, file in found.items())
    assert found["TanH"] == "activations.py"  # which has neither params nor a shape rule of its own
    assert found["ConvolutionDepthwise"] == "convolution.py"
    assert found["LSTMUnit"] == "recurrent.py"


def test_every_type_says_which_tree_it_is_from() -> None:
    first, *others = counts(layer_entries())
    assert first == "layer types that run: 72; refused: 1; with learned blobs: 15; losses: 9"
    assert others[0] == "  61 of BVLC's Caffe"
    assert others[1].startswith("  8 of 9 of the SSD fork: AnnotatedData, ")
    assert others[2] == "  3 of other forks: ConvolutionDepthwise, DepthwiseConvolution, ReLU6"
    assert len(others) == 3


def test_settings_are_fields_of_a_layer() -> None:
    found = {entry.type: entry.settings for entry in layer_entries()}
    assert all(name in LayerParameter.DESCRIPTOR.fields_by_name for names in found.values() for name in names)
    assert found["Convolution"] == ("convolution_param",)
    assert found["AnnotatedData"] == ("annotated_data_param", "data_param", "transform_param")
    assert found["TanH"] == ("tanh_param",)
    assert found["Silence"] == ()


def test_the_page_holds_every_type_and_every_family() -> None:
    page = layers_page()
    assert all(f"| `{name}` |" in page for name in [*SPECS, *UNSUPPORTED])
    assert "| `Embed` | `embed.py` | 1 | 1 | weight, bias |  |  |" in page
    assert "| `HingeLoss` | `label_losses.py` | 2 | 1 |  | yes |  |" in page
    names = [family.__name__.rsplit(".", 1)[-1] for family in families()]
    assert {"pooling", "batch_norm", "losses"} <= set(names)
    assert not {"spec", "params", "inference", "unsupported"} & set(names)
    for family in families():
        title, text = split_docstring(family)
        assert f"### {title}\n" in page
        assert text in page


def test_layers_prints_what_runs_and_why_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers"]) == 0
    printed = capsys.readouterr().out
    assert f"{len(SPECS)} layer types run" in printed
    assert "STOCHASTIC" in printed
    assert "W_xh_static" in printed
    assert "61 of BVLC's Caffe" in printed
    assert run(["layers", "--json"]) == 0
    entries = {entry["type"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["VideoData"]["runs"] is False
    assert entries["VideoData"]["note"] == UNSUPPORTED["VideoData"]
    assert entries["BatchNorm"]["learns"] == ["mean", "variance", "factor"]
    assert entries["BatchNorm"]["file"] == "batch_norm.py"
    assert entries["ReLU6"]["tree"] == "chuanqi305/ssd or jolibrain/caffe"


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_and_breaks_no_name(
    capsys: pytest.CaptureFixture[str], width: int
) -> None:
    from rich.console import Console

    from caffeflow.report.layer_table import layers_listing

    console = Console(width=width)
    for part in list(layers_listing(layer_entries()))[:-1]:
        console.print(part)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    names = {line.split()[0] for line in lines if line.strip()}
    assert set(SPECS) <= names


def test_one_type_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers", "Pooling"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "file caffeflow/layers/pooling.py" in printed
    assert "pool MAX | AVE | STOCHASTIC MAX" in printed
    assert "stride whole number from 0 1" in printed
    assert "sizes round up" in printed
    assert run(["layers", "Convolution"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "dilation whole number from 0, repeated" in printed
    assert "weight_filler FillerParameter" in printed
    assert run(["layers", "VideoData"]) == 0
    assert "camera or a video file" in " ".join(capsys.readouterr().out.split())
    assert run(["layers", "InnerProduct", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == ["inner_product_param"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [("relu", "did you mean 'ReLU'"), ("PSROIPooling", "R-FCN's tree"), ("Qwxyz", "see: caffeflow layers")],
)
def test_a_type_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], asked: str, words: str) -> None:
    assert run(["layers", asked]) == 4
    assert words in capsys.readouterr().err

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from caffeflow import resources
from caffeflow.errors import NativeError
from caffeflow.native.layer_sources import (
    MARK,
    has_its_own,
    layer_names,
    layer_source,
    read_layer_source,
)
from tests.support.layer_trees import write_tree

LAYERS = ("conv_factory", "cudnn_grouped_conv", "depthwise_conv", "relu6")


def copy_of(layer: str, folder: Path) -> Path:
    return Path(shutil.copytree(resources.cuda_layers_dir() / layer, folder / layer))


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_folder_is_a_layer() -> None:
    folders = {path.name for path in resources.cuda_layers_dir().iterdir() if path.is_dir()}
    assert set(layer_names()) == folders == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_files_are_where_a_tree_has_them_and_say_whose_they_are(layer: str) -> None:
    source = layer_source(layer)
    assert source.licence == "BSD-2-Clause"
    tests = [path for path in source.files if path.startswith("src/caffe/test/test_")]
    headers = [path for path in source.files if path.startswith("include/caffe/")]
    assert tests
    assert headers
    for path, file in source.files.items():
        assert path.endswith((".hpp", ".cpp", ".cu")), path
        assert MARK in file.read_bytes()[:400], path


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer != "conv_factory"])
def test_a_class_is_declared_and_its_types_are_registered(layer: str) -> None:
    source = layer_source(layer)
    text = "\n".join(file.read_text() for file in source.files.values())
    assert f"class {source.class_name} : public" in text
    for layer_type in source.types:
        assert (
            f"REGISTER_LAYER_CLASS({layer_type})" in text or f"REGISTER_LAYER_CREATOR({layer_type}," in text
        )


def test_relu6_has_the_number_of_the_fork_that_has_it() -> None:
    parameter = layer_source("relu6").parameter
    assert parameter is not None
    assert (parameter.message, parameter.field, parameter.number) == ("ReLU6Parameter", "relu6_param", 208)
    assert parameter.text.count("message ") == 1
    assert parameter.text.endswith("}\n")


def test_an_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(NativeError, match="'relu8'; did you mean 'relu6'"):
        layer_source("relu8")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("summary", "sumary", "has no summary"),
        ("class =", "clas =", "unknown key 'clas'; did you mean 'class'"),
        ("number =", "nr =", "has no number"),
        ("number = 208", "number = 209", "optional ReLU6Parameter relu6_param = 209;"),
        ("types = [", "types = ", "layer.toml' cannot be read"),
    ],
)
def test_a_faulty_declaration_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    folder = copy_of("relu6", tmp_path)
    changed(folder / "layer.toml", old, new)
    with pytest.raises(NativeError, match=words):
        read_layer_source(folder)


def test_a_message_needs_its_schema(tmp_path: Path) -> None:
    folder = copy_of("relu6", tmp_path)
    (folder / "params.proto").unlink()
    with pytest.raises(NativeError, match=r"params\.proto' cannot be read"):
        read_layer_source(folder)


def test_a_folder_without_files_is_no_layer(tmp_path: Path) -> None:
    folder = copy_of("cudnn_grouped_conv", tmp_path)
    shutil.rmtree(folder / "src")
    shutil.rmtree(folder / "include")
    with pytest.raises(NativeError, match="holds no files"):
        read_layer_source(folder)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_tree_without_the_layer_has_none_of_its_own(tmp_path: Path, layer: str) -> None:
    assert not has_its_own(write_tree(tmp_path), layer_source(layer))


@pytest.mark.parametrize("layer", LAYERS)
def test_our_files_are_not_the_trees_own(tmp_path: Path, layer: str) -> None:
    source = layer_source(layer)
    tree = write_tree(tmp_path, {path: file.read_text() for path, file in source.files.items()})
    assert not has_its_own(tree, source)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_file_of_the_same_name_is_the_trees_own(tmp_path: Path, layer: str) -> None:
    source = layer_source(layer)
    assert has_its_own(write_tree(tmp_path, {next(iter(source.files)): "// Another's.\n"}), source)


def test_a_type_that_another_file_registers_is_the_trees_own(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"src/caffe/layers/clipped.cpp": "REGISTER_LAYER_CLASS(ReLU6);\n"})
    assert has_its_own(tree, layer_source("relu6"))
    assert not has_its_own(tree, layer_source("depthwise_conv"))


def test_a_class_of_the_same_name_is_the_trees_own(tmp_path: Path) -> None:
    header = "template <typename Dtype>\nclass CuDNNGroupedConvolutionLayer : public X<Dtype> {};\n"
    tree = write_tree(tmp_path, {"include/caffe/fast_layers.hpp": header})
    assert has_its_own(tree, layer_source("cudnn_grouped_conv"))
    assert not has_its_own(tree, layer_source("relu6"))

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from caffeflow import resources
from caffeflow.errors import NativeError
from caffeflow.native import patching
from caffeflow.native.layer_sources import layer_source
from caffeflow.native.patches.layers import LAYER_PATCHES
from caffeflow.native.tree import Tree, open_tree
from tests.support.factory_probe import ask, build_probe
from tests.support.layer_trees import FACTORY, FILES, SCHEMA, write_tree

PATCHES = {patch.id: patch for patch in LAYER_PATCHES}
IDS = ["layer-relu6", "layer-depthwise-conv", "layer-cudnn-grouped-conv", "conv-factory"]
FACTORY_FILE = "src/caffe/layer_factory.cpp"
SCHEMA_FILE = "src/caffe/proto/caffe.proto"
NO_CUDNN, CUDNN_6, CUDNN_9 = None, 6021, 92800


def states(tree: Tree) -> dict[str, str]:
    return {state.id: state.state for state in patching.status(open_tree(tree.root), PATCHES)}


def patch(tree: Tree, *only: str) -> patching.Plan:
    plan = patching.plan(open_tree(tree.root), only=only, patches=PATCHES)
    patching.apply(tree, plan)
    return plan


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".caffeflow" not in path.parts
    }


def files_of(*layers: str) -> set[str]:
    return {path for layer in layers for path in layer_source(layer).files}


def test_the_patches_are_these_in_this_order() -> None:
    assert list(PATCHES) == IDS
    assert all(patch.group == "layers" for patch in PATCHES.values())


def test_all_are_done_once_and_undone(tmp_path: Path) -> None:
    tree = write_tree(tmp_path)
    before = contents(tmp_path)
    assert states(tree) == dict.fromkeys(IDS, "to do")
    plan = patch(tree)
    after = contents(tmp_path)
    added = files_of("relu6", "depthwise_conv", "cudnn_grouped_conv", "conv_factory")
    assert set(after) - set(before) == added
    assert {path for path in before if before[path] != after[path]} == {FACTORY_FILE, SCHEMA_FILE}
    assert {change.path for change in plan.changes} == added | {FACTORY_FILE, SCHEMA_FILE}
    assert states(tree) == dict.fromkeys(IDS, "done")
    assert patch(tree).changes == ()
    patching.undo(tree)
    assert contents(tmp_path) == before


def test_files_are_copied_as_they_are(tmp_path: Path) -> None:
    patch(write_tree(tmp_path))
    for path, file in layer_source("cudnn_grouped_conv").files.items():
        assert (tmp_path / path).read_bytes() == file.read_bytes()


def test_the_factory_asks_first(tmp_path: Path) -> None:
    patch(write_tree(tmp_path), "conv-factory")
    text = (tmp_path / FACTORY_FILE).read_text()
    lines = text.splitlines()
    assert lines[lines.index('#include "caffe/conv_factory.hpp"') + 1] == '#include "caffe/layer.hpp"'
    head = lines.index("    const LayerParameter& param) {")
    assert lines[head + 3] == "      FindGroupedConvolutionLayer<Dtype>(param);"
    assert lines[head + 4] == "  if (by_groups) { return by_groups; }"
    assert lines[head + 5].startswith("  return shared_ptr")
    assert max(len(line) for line in lines) <= 80
    kept = [line for line in lines if "by_groups" not in line and "conv_factory" not in line]
    assert [line for line in kept if line in FACTORY.splitlines()] == FACTORY.splitlines()


def test_the_factory_alone_brings_the_layers_it_names(tmp_path: Path) -> None:
    patch(write_tree(tmp_path), "conv-factory")
    there = set(contents(tmp_path)) - set(FILES)
    assert there == files_of("conv_factory", "depthwise_conv", "cudnn_grouped_conv")
    assert (tmp_path / SCHEMA_FILE).read_text() == SCHEMA


def test_the_parameters_own_name_is_used(tmp_path: Path) -> None:
    changed = FACTORY.replace("(param)", "(layer_param)").replace("& param)", "& layer_param)")
    patch(write_tree(tmp_path, {FACTORY_FILE: changed}), "conv-factory")
    assert "FindGroupedConvolutionLayer<Dtype>(layer_param);" in (tmp_path / FACTORY_FILE).read_text()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GetConvolutionLayer(\n", "MakeConvolutionLayer(\n", "GetConvolutionLayer"),
        ('#include "caffe/layer.hpp"\n', "", r"caffe/layer\.hpp"),
    ],
)
def test_a_factory_of_another_kind_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in FACTORY
    tree = write_tree(tmp_path, {FACTORY_FILE: FACTORY.replace(old, new)})
    before = contents(tmp_path)
    assert states(tree)["conv-factory"] == "cannot"
    with pytest.raises(NativeError, match=f"{words}.* in {FACTORY_FILE}, .*--skip conv-factory"):
        patching.plan(tree, patches=PATCHES)
    assert contents(tmp_path) == before


def test_a_schema_with_another_relu6_is_told(tmp_path: Path) -> None:
    schema = SCHEMA.replace("clip_param", "relu6_param")
    tree = write_tree(tmp_path, {SCHEMA_FILE: schema})
    assert states(tree)["layer-relu6"] == "cannot"
    with pytest.raises(NativeError, match=f"not ClipParameter, in LayerParameter in {SCHEMA_FILE}"):
        patching.plan(tree, patches=PATCHES)


def test_a_trees_own_relu6_is_left_alone(tmp_path: Path) -> None:
    own = {"src/caffe/layers/relu6_layer.cpp": "REGISTER_LAYER_CLASS(ReLU6);\n"}
    tree = write_tree(tmp_path, own)
    assert states(tree)["layer-relu6"] == "not needed"
    patch(tree)
    assert (tmp_path / "src/caffe/layers/relu6_layer.cpp").read_text() == own[
        "src/caffe/layers/relu6_layer.cpp"
    ]
    assert not (tmp_path / "src/caffe/layers/relu6_layer.cu").exists()
    assert (tmp_path / SCHEMA_FILE).read_text() == SCHEMA


def test_a_trees_own_depthwise_layer_keeps_its_factory(tmp_path: Path) -> None:
    own = {"src/caffe/layers/own.cpp": "REGISTER_LAYER_CLASS(DepthwiseConvolution);\n"}
    tree = write_tree(tmp_path, own)
    assert states(tree) == {
        "layer-relu6": "to do",
        "layer-depthwise-conv": "not needed",
        "layer-cudnn-grouped-conv": "to do",
        "conv-factory": "not needed",
    }
    patch(tree)
    assert (tmp_path / FACTORY_FILE).read_text() == FACTORY


def test_an_older_file_of_ours_is_renewed(tmp_path: Path) -> None:
    tree = write_tree(tmp_path)
    patch(tree)
    patching.undo(tree)
    older = {path: file.read_text() for path, file in layer_source("cudnn_grouped_conv").files.items()}
    first = next(iter(older))
    older[first] += "// From before.\n"
    tree = write_tree(tmp_path, older)
    assert states(tree)["layer-cudnn-grouped-conv"] == "to do"
    plan = patching.plan(tree, only=["layer-cudnn-grouped-conv"], patches=PATCHES)
    assert [change.path for change in plan.changes] == [first]


def table(probe: Path) -> dict[tuple[str, str], str]:
    cases = {"one": (6, 6), "more": (3, 6)}
    questions = [(*sizes, engine) for sizes in cases.values() for engine in ("CAFFE", "CUDNN", "DEFAULT")]
    made = ask(probe, questions)
    keys = [(name, engine) for name in cases for engine in ("CAFFE", "CUDNN", "DEFAULT")]
    return dict(zip(keys, made, strict=True))


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
@pytest.mark.parametrize(
    ("cudnn", "grouped"),
    [(NO_CUDNN, "stock"), (CUDNN_6, "stock"), (CUDNN_9, "CuDNNGroupedConvolutionLayer")],
)
def test_the_factorys_table(tmp_path: Path, cudnn: int | None, grouped: str) -> None:
    header = resources.cuda_layers_dir() / "conv_factory" / "include" / "caffe" / "conv_factory.hpp"
    probe = build_probe(tmp_path, header, cudnn_version=cudnn)
    assert table(probe) == {
        ("one", "CAFFE"): "DepthwiseConvolutionLayer",
        ("one", "CUDNN"): grouped,
        ("one", "DEFAULT"): "DepthwiseConvolutionLayer",
        ("more", "CAFFE"): "DepthwiseConvolutionLayer",
        ("more", "CUDNN"): grouped,
        ("more", "DEFAULT"): grouped,
    }
    assert ask(probe, [(1, 1, "DEFAULT"), (1, 5, "CAFFE"), (1, 5, "CUDNN")]) == ["stock"] * 3

"""Our layers of `cuda_layers/` in a tree, and the factory's choice among them.

A layer's patch copies its files and adds its message to caffe.proto. Only the factory's patch
touches a source of the tree, in two places: an include, and a question at the head of
GetConvolutionLayer (`cuda_layers/conv_factory` holds the answer, a table).
"""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.layer_sources import LayerSource, has_its_own, layer_source
from caffeflow.native.patches.patch import FileEdit, NewFile, Patch, PlaceNotFoundError, insert_after
from caffeflow.native.patches.schema import add_message, needs_message
from caffeflow.native.tree import Tree

_SCHEMA: Final = "src/caffe/proto/caffe.proto"
_FACTORY: Final = "src/caffe/layer_factory.cpp"
_INCLUDE: Final = '#include "caffe/conv_factory.hpp"'
_FIRST_INCLUDE: Final = r'(?=^#include "caffe/layer\.hpp")'
_QUESTION: Final = "FindGroupedConvolutionLayer<Dtype>"
_HEAD: Final = r"\bGetConvolutionLayer\(\s*const LayerParameter\s*& ?(\w+)\s*\)\s*\{\n"
# The layers that the factory's table names.
_BY_GROUPS: Final = ("depthwise_conv", "cudnn_grouped_conv")


def _layer_patch(layer: str, reason: str) -> Patch:
    source = layer_source(layer)
    return Patch(
        id=f"layer-{layer.replace('_', '-')}",
        group="layers",
        reason=reason,
        edits=_schema_edits(source),
        new_files=_new_files(source),
        applies=lambda tree: not has_its_own(tree, source),
    )


def _schema_edits(source: LayerSource) -> tuple[FileEdit, ...]:
    layer = source.parameter
    if layer is None:
        return ()
    return (
        FileEdit(
            path=_SCHEMA,
            needs=lambda schema: needs_message(schema, layer),
            edit=lambda schema: add_message(schema, layer),
        ),
    )


def _new_files(*sources: LayerSource) -> tuple[NewFile, ...]:
    def copy_of(source: LayerSource, path: str) -> NewFile:
        return NewFile(path=path, source=lambda _tree: source.files[path].read_bytes())

    return tuple(copy_of(source, path) for source in sources for path in source.files)


def _does_not_ask(text: str) -> bool:
    return _INCLUDE not in text or _QUESTION not in text


def _ask_first(text: str) -> str:
    """Returns layer_factory.cpp with the factory of convolutions by groups asked before its own choice."""
    if _INCLUDE not in text:
        text = insert_after(
            text, _FIRST_INCLUDE, f"{_INCLUDE}\n", expected='the line #include "caffe/layer.hpp"'
        )
    if _QUESTION in text:
        return text
    head = re.search(_HEAD, text)
    if head is None:
        raise PlaceNotFoundError("the function GetConvolutionLayer(const LayerParameter& ...)")
    asked = (
        "  // A convolution by groups has faster layers than the loop over them.\n"
        "  shared_ptr<Layer<Dtype> > by_groups =\n"
        f"      {_QUESTION}({head[1]});\n"
        "  if (by_groups) { return by_groups; }\n"
    )
    return text[: head.end()] + asked + text[head.end() :]


def _has_no_layers_by_groups(tree: Tree) -> bool:
    return not any(has_its_own(tree, layer_source(layer)) for layer in _BY_GROUPS)


LAYER_PATCHES: Final[tuple[Patch, ...]] = (
    _layer_patch("relu6", "MobileNets need ReLU6, and BVLC's and weiliu89's trees have no such layer."),
    _layer_patch(
        "depthwise_conv",
        "A depthwise convolution is one small matrix product a channel, many times slower than loops.",
    ),
    _layer_patch(
        "cudnn_grouped_conv",
        "With cuDNN, each group of a convolution has handles and workspaces: MobileNets run out of memory.",
    ),
    Patch(
        id="conv-factory",
        group="layers",
        reason="A plain Convolution with group > 1 is a loop over its groups, whatever faster layers exist.",
        edits=(FileEdit(path=_FACTORY, needs=_does_not_ask, edit=_ask_first),),
        # The layers' files too: what the factory names must be there whichever patches are asked for.
        new_files=_new_files(layer_source("conv_factory"), *map(layer_source, _BY_GROUPS)),
        applies=_has_no_layers_by_groups,
    ),
)

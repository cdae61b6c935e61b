"""cuDNN 8 and 9 in a tree's sources: queries and headers that are gone, and arithmetic that has changed."""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.own_files import own_file
from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError, insert_after, rewrite
from caffeflow.native.tree import Tree

_CUDNN_HEADER: Final = "include/caffe/util/cudnn.hpp"
_ALGORITHMS_HEADER: Final = "include/caffe/util/cudnn_algorithms.hpp"
_LAYERS: Final = "src/caffe/layers/cudnn_*.cpp"
_QUERY: Final = re.compile(r"\bcudnnGetConvolution(Forward|BackwardFilter|BackwardData)Algorithm\b(?=\s*\()")
_LIMIT: Final = re.compile(r"\bCUDNN_CONVOLUTION_(?:FWD|BWD_FILTER|BWD_DATA)_SPECIFY_WORKSPACE_LIMIT\s*,\s*")
# The function that gives a convolution's descriptor its padding and stride, up to its closing brace
_DESCRIBED: Final = re.compile(
    r"^inline void setConvolutionDesc\(cudnnConvolutionDescriptor_t\* ?(\w+),[\s\S]*?(?=^}$)", re.MULTILINE
)
_ERROR_NAMES: Final = (
    r"(?<!^#if CUDNN_VERSION < 8000\n)^inline const char\* ?cudnnGetErrorString\([\s\S]*?^}\n"
)


def _has_cudnn(tree: Tree) -> bool:
    return tree.has(_CUDNN_HEADER)


def _asks_as_before(text: str) -> bool:
    return _QUERY.search(text) is not None and "Algorithm_v7" not in text


def _has_old_queries(tree: Tree) -> bool:
    """Tells whether a tree's layers ask, or asked before they were patched, the queries that are gone."""
    layers = (tree.read(path) for path in tree.files(_LAYERS))
    return tree.has(_ALGORITHMS_HEADER) or any(_asks_as_before(text) for text in layers)


def _choose_from_lists(text: str) -> str:
    """Puts our functions, which choose from cuDNN's lists, in place of the queries that are gone.

    They take the arguments of the queries without the preference, so that all else stays.
    """
    if not _asks_as_before(text):
        return text
    queries, limits = len(_QUERY.findall(text)), len(_LIMIT.findall(text))
    if queries != limits:
        raise PlaceNotFoundError(
            f"SPECIFY_WORKSPACE_LIMIT in all {queries} queries for algorithms, not in {limits},"
        )
    changed = _LIMIT.sub("", _QUERY.sub(r"cudnn::Get\1Algorithm", text))
    return insert_after(
        changed,
        r'^#include "caffe/layers/cudnn_\w+\.hpp"\n',
        '#include "caffe/util/cudnn_algorithms.hpp"\n',
        expected="the include of the layer's own header",
    )


def _rounds_factors(text: str) -> bool:
    return "cudnnSetConvolutionMathType" not in text and "cudnnSetConvolution2dDescriptor" in text


def _keep_full_floats(text: str) -> str:
    if not _rounds_factors(text):
        return text
    place = _DESCRIBED.search(text)
    if place is None:
        raise PlaceNotFoundError("the function setConvolutionDesc")
    added = (
        "#if CUDNN_VERSION >= 8000\n"
        "  // Else GPUs since Ampere round the factors to 10 bits (TF32).\n"
        f"  CUDNN_CHECK(cudnnSetConvolutionMathType(*{place[1]}, CUDNN_FMA_MATH));\n"
        "#endif\n"
    )
    return text[: place.end()] + added + text[place.end() :]


CUDNN_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="cudnn-algorithms",
        group="cuda",
        reason="The queries for a convolution's algorithm within a workspace limit are gone since cuDNN 8;"
        " the first that works and fits is taken from the list that the _v7 queries give.",
        edits=(FileEdit(path=_LAYERS, needs=_asks_as_before, edit=_choose_from_lists),),
        new_files=(own_file(_ALGORITHMS_HEADER),),
        applies=_has_old_queries,
    ),
    Patch(
        id="cudnn-error-names",
        group="cuda",
        reason="Caffe's own names of cuDNN's errors hide cuDNN's, call all that came later unknown, and give"
        " dozens of warnings a file.",
        edits=(
            rewrite(
                _CUDNN_HEADER,
                _ERROR_NAMES,
                lambda found: f"#if CUDNN_VERSION < 8000\n{found[0]}#endif\n",
            ),
        ),
        applies=_has_cudnn,
    ),
    Patch(
        id="cudnn-full-floats",
        group="cuda",
        reason="Since cuDNN 8, GPUs from Ampere on round the factors of a convolution to 10 bits, unless told"
        " to compute as before; skip it where speed counts more than the same numbers.",
        edits=(FileEdit(path=_CUDNN_HEADER, needs=_rounds_factors, edit=_keep_full_floats),),
        applies=_has_cudnn,
    ),
    Patch(
        id="cudnn-softmax-thrust",
        group="cuda",
        reason="cudnn_softmax_layer.cpp includes a header of Thrust that it does not use, and that the host's"
        " compiler does not find in CUDA 13.",
        edits=(
            rewrite(
                "src/caffe/layers/cudnn_softmax_layer.cpp",
                r'^#include ["<]thrust/device_vector\.h[">][^\n]*\n\n?',
                "",
            ),
        ),
        applies=_has_cudnn,
    ),
)

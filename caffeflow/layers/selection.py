"""BatchReindex and Filter: some rows of a batch, named by their numbers or marked by another blob.

What is Caffe's own here:
  * BatchReindex makes a row for each number in its second bottom, in that order and as often as asked; a
    row's gradient is the sum of those of its copies;
  * Filter keeps the rows where its last bottom is not 0, of all its other bottoms alike; a row that is
    left out gets no gradient;
  * how many rows Filter keeps is known only after a forward; shapes show all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from caffeflow.errors import NetError
from caffeflow.layers.params import count, dims
from caffeflow.layers.spec import LayerSpec, Shape, no_params, register
from caffeflow.proto.caffe_pb2 import LayerParameter


def batch_reindex_shapes(_params: None, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the first bottom's shape with a row for each number of the second."""
    data, numbers = bottoms
    if len(numbers) != 1:
        raise NetError(f"the second bottom lists rows and must have 1 axis; found {dims(numbers)}")
    if not data:
        raise NetError("the first bottom must have at least 1 axis; found a scalar")
    return [(numbers[0], *data[1:])]


register(LayerSpec(type="BatchReindex", bottoms=2, read=no_params, shapes=batch_reindex_shapes))


def read_filter(layer: LayerParameter) -> None:
    """Checks that there is a top for each bottom but the last."""
    if len(layer.top) != len(layer.bottom) - 1:
        found = f"found {len(layer.bottom)} bottoms and {len(layer.top)} tops"
        raise NetError(f"Filter makes a top of each bottom but the last, which selects; {found}")


def filter_shapes(_params: None, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shapes of all bottoms but the last, as if every row were kept."""
    *filtered, selector = bottoms
    if not selector or count(selector[1:]) != 1:
        raise NetError(f"the last bottom must have one value a row; found {dims(selector)}")
    for bottom in filtered:
        if bottom[:1] != selector[:1]:
            raise NetError(
                f"the last bottom selects among {selector[0]} rows; found a bottom of {dims(bottom)}"
            )
    return filtered


register(
    LayerSpec(
        type="Filter",
        bottoms=(2, None),
        tops=(1, None),
        read=read_filter,
        shapes=filter_shapes,
        note="has as many rows as are selected; known only after a forward",
    )
)

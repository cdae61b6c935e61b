"""torchvision's VGG16, with or without BatchNorm, which is folded: the published net has none.

Both flatten the last pooling channel by channel, so the first fully connected layer needs no turning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caffeflow.weights.importing.counterpart import Counterpart, Family, Part, Shapes

_DEPTHS: Final = (2, 2, 3, 3, 3)
_HEADS: Final = (("fc6", "classifier.0"), ("fc7", "classifier.3"), ("fc8", "classifier.6"))
_SIBLINGS: Final = {8: "vgg11", 10: "vgg13", 16: "vgg19"}


def _plan(shapes: Shapes) -> Counterpart:
    has_norms = "features.1.running_mean" in shapes
    name = "_bn" if has_norms else ""
    convolutions = sum(len(shape) == 4 for key, shape in shapes.items() if key.startswith("features."))
    sibling = _SIBLINGS.get(convolutions)
    heads = tuple(Part(layer, weights, is_head=True, has_bias=True) for layer, weights in _HEADS)
    return Counterpart(
        torch_name=f"{sibling or 'vgg16'}{name}",
        net="vgg16",
        parts=(*_features(has_norms=has_norms), *heads),
        trunk=("features.",),
        required={"net.input_size": ("224",)},
        classes_key="classifier.6.weight",
        refused=f"it has {convolutions} convolutions, and render has the net of 13 alone" if sibling else "",
    )


def _features(*, has_norms: bool) -> Iterator[Part]:
    """Yields the convolutions; ReLU and pooling count in the keys' numbers, and so does BatchNorm."""
    number = 0
    for block, depth in enumerate(_DEPTHS, start=1):
        for index in range(1, depth + 1):
            norm = f"features.{number + 1}" if has_norms else ""
            yield Part(f"conv{block}_{index}", f"features.{number}", norm, has_bias=True)
            number += 3 if has_norms else 2
        number += 1


FAMILY: Final = Family(nets=("vgg16",), torch_names=("vgg16", "vgg16_bn"), plan=_plan)

"""torchvision's ResNet-50: the stride is in the 3x3 convolutions, the first pooling rounds down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from caffeflow.weights.importing.counterpart import Counterpart, Family, Part, Shapes

_DEPTHS: Final = (3, 4, 6, 3)
_SIBLINGS: Final[Mapping[tuple[int, ...], str]] = {
    (2, 2, 2, 2): "resnet18",
    (3, 4, 6, 3): "resnet34",
    (3, 4, 23, 3): "resnet101",
    (3, 8, 36, 3): "resnet152",
}
_REQUIRED: Final = {
    "net.stride_in": ("3x3",),
    "net.conv1_bias": ("false",),
    "net.pool_pad": ("1",),
    "net.pool": ("slice", "floor"),
    "net.activation": ("relu",),
}


def _plan(shapes: Shapes) -> Counterpart:
    name = _name(shapes)
    return Counterpart(
        torch_name=name,
        net="resnet50",
        variant="torchvision",
        parts=tuple(_parts()),
        trunk=("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."),
        variables=_width(shapes),
        required=_REQUIRED,
        classes_key="fc.weight",
        refused="" if name == "resnet50" else "render has resnet50 of that family alone",
    )


def _parts() -> Iterator[Part]:
    yield Part("conv1", "conv1", "bn1")
    for stage, depth in enumerate(_DEPTHS, start=1):
        for index in range(depth):
            there, here = f"layer{stage}.{index}", f"res{stage + 1}{'abcdef'[index]}_branch"
            if index == 0:
                yield Part(f"{here}1", f"{there}.downsample.0", f"{there}.downsample.1")
            for number, letter in enumerate("abc", start=1):
                yield Part(f"{here}2{letter}", f"{there}.conv{number}", f"{there}.bn{number}")
    yield Part("fc1000", "fc", is_head=True, has_bias=True)


def _name(shapes: Shapes) -> str:
    """Returns which of the nets with these keys a file is of."""
    depths = tuple(
        len({key.split(".")[1] for key in shapes if key.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    if depths != _DEPTHS or ("layer1.0.conv1.weight" in shapes and "layer1.0.conv3.weight" not in shapes):
        return _SIBLINGS.get(depths, "resnet50")
    grouped = shapes.get("layer1.0.conv2.weight", (0, 0))
    if len(grouped) == 4 and grouped[0] != grouped[1]:
        return "resnext50_32x4d"
    # Narrower nets have narrower convolutions everywhere; the wide ones only between the 1x1 of a block.
    return "wide_resnet50_2" if grouped[0] == 2 * shapes.get("conv1.weight", (64,))[0] else "resnet50"


def _width(shapes: Shapes) -> dict[str, str]:
    # Half the width is the only other one that the template has.
    return {"net.width": "0.5"} if shapes.get("conv1.weight", ())[:1] == (32,) else {}


FAMILY: Final = Family(nets=("resnet50",), torch_names=("resnet50",), plan=_plan)

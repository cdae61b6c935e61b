"""torchvision's MobileNet v2, which is the paper's: ReLU6, stride 2 at the first 64 channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caffeflow.weights.importing.counterpart import Counterpart, Family, Part, Shapes, rows_of

# The published prototxt's names of the seventeen blocks, which torchvision numbers.
_BLOCKS: Final = (
    "2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "4_3", "4_4", "4_5", "4_6", "4_7", "5_1", "5_2", "5_3", "6_1",
    "6_2", "6_3",
)  # fmt: skip
# The channels of the last block tell all widths apart, those of the first do not.
_WIDTHS: Final = {112: "0.35", 160: "0.5", 240: "0.75", 320: "1.0", 416: "1.3", 448: "1.4"}
_REQUIRED: Final = {
    "net.strides": ("2,2,2,2,2",),
    "net.downsample_at": ("64",),
    "net.first_expand": ("false",),
    "net.activation": ("clip", "relu6"),
}


def _plan(shapes: Shapes) -> Counterpart:
    width = _WIDTHS.get(rows_of(shapes, "features.17.conv.2.weight"))
    return Counterpart(
        torch_name="mobilenet_v2",
        net="mobilenet-v2",
        variant="paper",
        parts=tuple(_parts()),
        trunk=("features.",),
        variables={"net.width": width} if width else {},
        required=_REQUIRED,
        classes_key="classifier.1.weight",
    )


def _parts() -> Iterator[Part]:
    yield Part("conv1", "features.0.0", "features.0.1")
    for number, block in enumerate(_BLOCKS, start=1):
        here, there = f"conv{block}", f"features.{number}.conv"
        names = ("expand", "dwise") if number > 1 else ("dwise",)
        for index, name in enumerate(names):
            yield Part(f"{here}/{name}", f"{there}.{index}.0", f"{there}.{index}.1")
        yield Part(f"{here}/linear", f"{there}.{len(names)}", f"{there}.{len(names) + 1}")
    yield Part("conv6_4", "features.18.0", "features.18.1")
    yield Part("fc7", "classifier.1", is_head=True, has_bias=True)


FAMILY: Final = Family(nets=("mobilenet-v2",), torch_names=("mobilenet_v2",), plan=_plan)

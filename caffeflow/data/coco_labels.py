"""COCO's eighty classes, and the two ways of numbering them.

COCO's category ids go up to 90 and have gaps. SSD's own nets close them: labels 1 to 80, and the *name* of a
label is its id as annotations have it, `13`, from which result files get their `category_id`. The published
SSDLite takes the ids as labels, so 91 classes with background; its map calls the gaps `N/A`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from caffeflow.errors import DataError
from caffeflow.proto.labelmap import BACKGROUND, BACKGROUND_NAME, UNUSED_NAME, Label, LabelMap

Numbering: TypeAlias = Literal[80, 91]

_HIGHEST: Final = 90
_GAPS: Final = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_NAMES: Final = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

CATEGORIES: Final[Mapping[int, str]] = dict(
    zip((number for number in range(1, _HIGHEST + 1) if number not in _GAPS), _NAMES, strict=True)
)
"""Name of each category id of COCO."""


def coco_label_map(categories: Mapping[int, str], numbering: Numbering) -> LabelMap:
    """Returns the label map of the categories of a file, COCO's or one's own.

    Args:
        categories: Name of each category id.
        numbering: 80: labels from 1 without gaps, by rising id. 91: labels are the ids.

    Raises:
        DataError: An id cannot be a label.
    """
    background = Label(BACKGROUND_NAME, BACKGROUND, "background")
    if numbering == 80:
        named = enumerate(sorted(categories.items()), start=1)
        return LabelMap((background, *(Label(str(number), label, name) for label, (number, name) in named)))
    if categories.items() <= CATEGORIES.items():  # all of COCO's even so: the published heads have 91 outputs
        categories = {number: CATEGORIES.get(number, UNUSED_NAME) for number in range(1, _HIGHEST + 1)}
    lowest = min(categories)
    if lowest <= BACKGROUND:
        raise DataError(
            f"category '{categories[lowest]}' has id {lowest}, and label {BACKGROUND} is the background; "
            "leave --coco-ids 91 out, so that labels count from 1"
        )
    return LabelMap((background, *(Label(name, number, name) for number, name in sorted(categories.items()))))

"""What the drawing of random nets knows of a blob: enough to choose what may read it.

The one rule to know: a blob is described as it is now. An in-place layer puts a new description under the
old name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DrawnBlob:
    """A blob of a net that is being drawn.

    Attributes:
        name: Its name in the net.
        shape: Its shape.
        size: Roughly its largest common value, by which drawn settings keep numbers moderate.
        positive: No value is below 0.05 or so: what logarithms and broken powers ask for.
        probabilities: Values sum to one along axis 1.
        varied: Values within each channel differ by far more than rounding, so that it can be normalised.
        constant: Rows or columns are equal, so that those of products are equal but for rounding, too.
        centred: Its sums are zero but for rounding, as after a normalisation.
        learns: Its gradient is asked for, because something below learns or the net forces it.
        flows: It may lead to a loss: Caffe can give all below gradients.
        free: A layer may work in place on it: no layer needs or shares its values for its backward.
        handed: The layer that makes it keeps its gradient elsewhere, where Caffe's Flatten does not put it.
        counted: Its rows are counted only when values are known, as those of Filter's tops.
    """

    name: str
    shape: Shape
    size: float = 1.0
    positive: bool = False
    probabilities: bool = False
    varied: bool = True
    constant: bool = False
    centred: bool = False
    learns: bool = False
    flows: bool = True
    free: bool = False
    handed: bool = False
    counted: bool = False

    @property
    def count(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)

    @property
    def axes(self) -> int:
        """The number of its axes."""
        return len(self.shape)


def dims(shape: Sequence[int]) -> str:
    """Returns a shape as a prototxt's BlobShape holds it."""
    return " ".join(f"dim: {size}" for size in shape)

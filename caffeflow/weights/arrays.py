"""Statistics of learned blobs, and which filler they still look like.

The one rule to know: minimum, maximum, mean and deviation are those of the finite values; nan and inf
are counted beside them. "Looks like" is a guess from moments and limits, made to find layers that a
training or a copy never touched; blobs of a few values are only ever called constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.proto.binary import Array, LayerArrays

_CHUNK: Final = 1 << 20
_FEWEST_TO_JUDGE: Final = 100
_BLOB_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "BatchNorm": ("mean", "variance", "factor"),
    "PReLU": ("slope",),
    "Normalize": ("scale",),
    "Scale": ("scale", "bias"),
    "Bias": ("bias",),
}


@dataclass(frozen=True, kw_only=True)
class BlobStatistics:
    """One learned blob in numbers.

    Attributes:
        layer: The layer's name.
        type: The layer's type.
        blob: What the blob is: `weight`, `bias`, `mean`, …
        shape: Its shape.
        minimum: Of the finite values; nan if there are none, as for the next three.
        maximum: As above.
        mean: As above.
        std: Standard deviation (of the population).
        zeros: Share of exact zeros among all values.
        nans: How many values are nan.
        infinities: How many are infinite.
        looks_like: The filler it may come from, such as `xavier` or `constant 1`; empty if none.
    """

    layer: str
    type: str
    blob: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float
    zeros: float
    nans: int
    infinities: int
    looks_like: str

    @property
    def count(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean, deviation, skewness and kurtosis (3 for a gaussian, 1.8 for a uniform distribution)."""

    mean: float
    std: float
    skewness: float
    kurtosis: float


def statistics_of(layers: Iterable[LayerArrays]) -> list[BlobStatistics]:
    """Returns the statistics of every blob, in file order; layers without blobs have none."""
    return [blob_statistics(layer, index) for layer in layers for index in range(len(layer.arrays))]


def blob_statistics(layer: LayerArrays, index: int) -> BlobStatistics:
    """Returns the statistics of one blob of a layer."""
    array = layer.arrays[index]
    finite = array[np.isfinite(array)]
    moments = moments_of(finite)
    return BlobStatistics(
        layer=layer.name,
        type=layer.type,
        blob=blob_name(layer.type, index),
        shape=array.shape,
        minimum=float(finite.min()) if finite.size else math.nan,
        maximum=float(finite.max()) if finite.size else math.nan,
        mean=moments.mean,
        std=moments.std,
        zeros=1 - np.count_nonzero(array) / array.size if array.size else 0.0,
        nans=int(np.isnan(array).sum()),
        infinities=int(np.isinf(array).sum()),
        looks_like=_guess(layer.type, array, moments) if finite.size == array.size else "",
    )


def blob_name(layer_type: str, index: int) -> str:
    """Returns what a blob of a layer is, by its place in the caffemodel."""
    names = _BLOB_NAMES.get(layer_type, ("weight", "bias"))
    return names[index] if index < len(names) else f"blob {index}"


def moments_of(values: Array) -> Moments:
    """Returns the moments, summed in double precision and in pieces; all nan for no values."""
    if not values.size:
        return Moments(mean=math.nan, std=math.nan, skewness=math.nan, kurtosis=math.nan)
    mean = math.fsum(float(chunk.sum()) for chunk in _chunks(values)) / values.size
    sums = np.zeros(3)
    for chunk in _chunks(values):
        centred = chunk - mean
        square = centred * centred
        sums += (square.sum(), (square * centred).sum(), (square * square).sum())
    variance, third, fourth = (float(total) / values.size for total in sums)
    if variance == 0:
        return Moments(mean=mean, std=0.0, skewness=math.nan, kurtosis=math.nan)
    return Moments(
        mean=mean,
        std=math.sqrt(variance),
        skewness=third / variance**1.5,
        kurtosis=fourth / variance**2,
    )


def looks_like(array: Array, moments: Moments) -> str:
    """Returns the filler that finite values look drawn from, or an empty string."""
    if array.size and bool((array == array.flat[0]).all()):
        return f"constant {float(array.flat[0]):g}"
    if array.size < _FEWEST_TO_JUDGE:
        return ""
    if _is_bilinear(array):
        return "bilinear"
    if _has_shape_of(moments, array.size, kurtosis=1.8, kurtosis_spread=1.2, skewness_spread=1.45):
        return _uniform(array, moments)
    if _has_shape_of(moments, array.size, kurtosis=3.0, kurtosis_spread=4.9, skewness_spread=2.45):
        return _gaussian(array, moments)
    return ""


def _guess(layer_type: str, array: Array, moments: Moments) -> str:
    # Statistics come from data, which may well be gaussian; only that they are still the first is telling.
    if layer_type == "BatchNorm" and moments.std != 0:
        return ""
    return looks_like(array, moments)


def _has_shape_of(
    moments: Moments, count: int, *, kurtosis: float, kurtosis_spread: float, skewness_spread: float
) -> bool:
    """Whether skewness and kurtosis are within 4 standard errors; the spreads are for one value."""
    allowed = 4 / math.sqrt(count)
    return (
        abs(moments.kurtosis - kurtosis) < kurtosis_spread * allowed
        and abs(moments.skewness) < skewness_spread * allowed
    )


def _uniform(array: Array, moments: Moments) -> str:
    low, high = float(array.min()), float(array.max())
    spread = moments.std * math.sqrt(12)
    if not math.isclose(high - low, spread, rel_tol=4 / math.sqrt(array.size) + 0.01):
        return ""
    half = max(-low, high)
    if abs(low + high) > 0.05 * (high - low):
        return f"uniform {low:.3g} to {high:.3g}"
    for name, fan in _fans(array.shape):
        # All values lie inside, and among so many some come near the limit.
        limit = math.sqrt(3 / fan)
        if half <= limit * (1 + 1e-5) and half > limit * (1 - 20 / array.size - 1e-3):
            return f"xavier{name}"
    return f"uniform -{half:.3g} to {half:.3g}"


def _gaussian(array: Array, moments: Moments) -> str:
    error = moments.std / math.sqrt(array.size)
    if abs(moments.mean) > 4 * error:
        return f"gaussian mean {moments.mean:.3g} std {moments.std:.3g}"
    for name, fan in _fans(array.shape):
        if math.isclose(moments.std, math.sqrt(2 / fan), rel_tol=4 / math.sqrt(2 * array.size)):
            return f"msra{name}"
    return f"gaussian std {moments.std:.3g}"


def _fans(shape: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    """Yields the word for a variance_norm and its n, as Caffe counts them (filler.hpp)."""
    if len(shape) < 2:
        return
    count = math.prod(shape)
    fan_in, fan_out = count / shape[0], count / shape[1]
    yield "", fan_in
    yield " FAN_OUT", fan_out
    yield " AVERAGE", (fan_in + fan_out) / 2


def _is_bilinear(array: Array) -> bool:
    if array.ndim != 4 or array.shape[2] != array.shape[3] or array.shape[2] < 2:
        return False
    filters = array.reshape(-1, *array.shape[2:])
    if not (filters == filters[0]).all():
        return False
    size = array.shape[2]
    factor = math.ceil(size / 2)
    # Caffe: BVLC's and the SSD fork's filler.hpp put the centre at different places.
    centres = ((size - 1) / (2 * factor), (2 * factor - 1 - factor % 2) / (2 * factor))
    tents = (1 - np.abs(np.arange(size) / factor - centre) for centre in centres)
    return any(np.allclose(filters[0], np.outer(tent, tent), atol=1e-6) for tent in tents)


def _chunks(values: Array) -> Iterator[NDArray[np.float64]]:
    flat = values.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        yield flat[start : start + _CHUNK].astype(np.float64)

"""Every type of BVLC's Caffe that is drawn as a layer of its own, and what is left out, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from tests.support.drawn_layers import activations, losses, recurrent, structure, sums, windows
from tests.support.drawn_layers.configuration import Configuration, Family, drawn

CONFIGURATIONS: Final = 20

Answer = TypeVar("Answer")

FAMILIES: Final[dict[str, Family]] = (
    activations.FAMILIES
    | losses.FAMILIES
    | recurrent.FAMILIES
    | structure.FAMILIES
    | sums.FAMILIES
    | windows.FAMILIES
)


def configurations(layer_type: str) -> list[Configuration]:
    """Returns all configurations of a type."""
    return [drawn(layer_type, number, FAMILIES[layer_type]) for number in range(CONFIGURATIONS)]


def by_type(types: Iterable[str], answers: list[Answer]) -> dict[str, list[Answer]]:
    """Returns the answers to the configurations of all types, asked for one after the other, by type."""
    starts = range(0, len(answers), CONFIGURATIONS)
    return {name: answers[start : start + CONFIGURATIONS] for name, start in zip(types, starts, strict=True)}


LEFT_OUT: Final = {
    "AnnotatedData: samplers, distortion, expansion": "drawn by each from a generator of its own; what goes through"
    " them the fork encodes as JPEG once more",
    "ConvolutionDepthwise": "a fork's name of a Convolution with as many groups as channels, which is drawn;"
    " neither Caffe at hand has it",
    "Convolution, Deconvolution: more than three spatial axes": "not run here",
    "AnnotatedData, Data, ImageData, WindowData: crop in TRAIN, mirror, shuffle, rand_skip": "drawn by each from a generator of"
    " its own",
    "DepthwiseConvolution": "a fork's name of a Convolution with as many groups as channels, which is drawn;"
    " neither Caffe at hand has it",
    "Dropout: TRAIN": "drawn by each from a generator of its own",
    "InfogainLoss: source": "the matrix as a file; drawn as a bottom",
    "Input": "computes nothing; all layers above are fed through it",
    "MVN, BNLL, Log, Power: gradients in place": "Caffe's are of values that it has overwritten",
    "MultiBoxLoss: a background_label_id other than 0": "the fork dies of some; our own loops are compared",
    "Pooling, SPP: STOCHASTIC": "on a GPU only",
    "engine: CUDNN": "on a GPU only",
}
"""Types and settings that are not compared, and why."""

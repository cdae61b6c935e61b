"""Eltwise as a chain of Add or Mul, or as Max; coefficients become factors before."""

from __future__ import annotations

from caffeflow.export.onnx_layer import OnnxLayer, writes
from caffeflow.layers.eltwise import EltwiseParams


@writes("Eltwise")
def write_eltwise(layer: OnnxLayer) -> None:
    """The sum, the product or the maximum of the bottoms."""
    params: EltwiseParams = layer.params
    if params.operation == "MAX":
        layer.add("Max", *layer.bottoms)
    else:
        terms = _with_coefficients(layer, params.coeff)
        _chain(layer, "Add" if params.operation == "SUM" else "Mul", terms)


def _with_coefficients(layer: OnnxLayer, coeff: tuple[float, ...]) -> list[str]:
    terms = list(layer.bottoms)
    for index, factor in enumerate(coeff):
        if factor != 1:
            terms[index] = layer.add(
                "Mul", terms[index], layer.scalar(f"coeff_{index}", factor), into=f"term_{index}"
            )
    return terms


def _chain(layer: OnnxLayer, op: str, terms: list[str]) -> None:
    # Two at a time: ONNX's Sum takes more, but few compilers do.
    done, *rest = terms
    for index, term in enumerate(rest, start=1):
        done = layer.add(op, done, term, into="" if index == len(rest) else f"first_{index + 1}")

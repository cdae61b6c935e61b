"""Battery cases of InnerProduct."""

from __future__ import annotations

from tests.support.layer_battery import Case
from tests.support.oracles.inner_product import inner_product


def case(name, settings, bottom, *, names=("weight", "bias"), **arguments):
    return Case(
        id=f"innerproduct-{name}",
        prototxt=f'type: "InnerProduct" inner_product_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, blobs: inner_product(xs[0], *blobs, **arguments),
        names=names,
    )


CASES = [
    case("of-maps", "num_output: 7", (2, 3, 5, 4)),
    case("of-rows", "num_output: 5", (3, 7)),
    case("one-row", "num_output: 2", (1, 3, 2, 5)),
    case("axis-2", "num_output: 7 axis: 2", (2, 3, 5, 4), axis=2),
    case("axis-from-the-end", "num_output: 7 axis: -1", (2, 3, 5), axis=2),
    case("transposed", "num_output: 7 transpose: true", (2, 3, 5), transpose=True),
    case("no-bias", "num_output: 7 bias_term: false", (2, 3, 5), names=("weight",)),
]

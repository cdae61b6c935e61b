"""What SSD's own Caffe stumbles over, and the embedded engine does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caffeflow.native.built_from import has_patch
from caffeflow.workflows.preflight_findings import Finding, Flight, place_of

_INPUTS: Final = 4  # of MultiBoxLoss: two that learn, then priors and boxes


def check_native(flight: Flight) -> Iterator[Finding]:
    """Yields what stops the real Caffe, if that is to run."""
    if flight.engine != "caffe":
        return
    yield from _check_samplers(flight)
    yield from _check_gradients(flight)


def _check_samplers(flight: Flight) -> Iterator[Finding]:
    """A side may round to more than 1, whose place is then drawn between 0 and less (sampler.cpp)."""
    if flight.caffe and has_patch(flight.caffe, "ssd-sampled-box"):
        return
    for role, layer in flight.layers("AnnotatedData"):
        if any(sampler.HasField("sampler") for sampler in layer.annotated_data_param.batch_sampler):
            yield Finding(
                where=place_of(role, layer),
                what="a batch_sampler draws boxes, at which SSD's Caffe dies sooner or later with 'Check"
                " failed: a <= b' unless its sampler.cpp keeps sides within 1: caffeflow caffe patch mends"
                " it; or render with --augment none, or train with the embedded engine",
                is_error=False,
            )


def _check_gradients(flight: Flight) -> Iterator[Finding]:
    """Without the flags the net asks for gradients of the priors, which the layer refuses in backward."""
    for role, layer in flight.layers("MultiBoxLoss"):
        if len(layer.propagate_down) < _INPUTS:
            yield Finding(
                where=place_of(role, layer),
                what="propagate_down is missing, so that SSD's Caffe dies in backward at the priors; write"
                " 'propagate_down: true' twice and 'propagate_down: false' twice",
            )

"""Preflight: what in a solver's nets and their data does not fit together, told before an engine starts.

Each check yields findings with their fix. What would give wrong numbers, stop the engine concerned or let
it hang is an error, and all errors are told at once; anything else is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from caffeflow.errors import CaffeflowError, DataError, NetError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.workflows.preflight_data import check_records, check_sharing, check_test_passes
from caffeflow.workflows.preflight_findings import Finding, Flight
from caffeflow.workflows.preflight_heads import check_heads
from caffeflow.workflows.preflight_labels import check_labels
from caffeflow.workflows.preflight_native import check_native
from caffeflow.workflows.preflight_scores import check_scores

_DETECTION: Final = frozenset(
    {"AnnotatedData", "PriorBox", "MultiBoxLoss", "DetectionOutput", "DetectionEvaluate"}
)


def preflight(flight: Flight, note: Callable[[str], None]) -> None:
    """Looks at nets and data together; returns if nothing speaks against starting.

    Args:
        flight: What is to start.
        note: Gets what is odd, but does no harm.

    Raises:
        DataError: Data that do not fit the nets.
        NetError: Nets whose parts do not fit together.
    """
    findings = list(_findings(flight))
    errors = [one for one in findings if one.is_error]
    if errors:
        raise _as_error(errors)
    for finding in findings:
        note(str(finding))


def is_detection(net: NetParameter) -> bool:
    """Whether a net finds boxes."""
    return any(layer.type in _DETECTION for layer in net.layer)


def _findings(flight: Flight) -> Iterator[Finding]:
    yield from check_records(flight)
    if any(is_detection(role.net) for role in flight.roles):
        yield from check_sharing(flight)
        yield from check_test_passes(flight)
        yield from check_labels(flight)
        yield from check_heads(flight.roles)
        yield from check_scores(flight)
        yield from check_native(flight)


def _as_error(errors: Sequence[Finding]) -> CaffeflowError:
    texts = list(dict.fromkeys(map(str, errors)))
    kind: type[CaffeflowError] = DataError if errors[0].is_of_data else NetError
    if len(texts) == 1:
        return kind(texts[0])
    return kind("\n  ".join([f"{len(texts)} things do not fit together:", *texts]))

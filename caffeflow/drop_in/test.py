"""`caffe test`: batches of a net's own data, their outputs, and the means of these."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from caffeflow.drop_in.devices import running_device
from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import Log, require
from caffeflow.drop_in.loading import load_weights
from caffeflow.drop_in.nets import read_model
from caffeflow.engine.lines import Element, LogLine, number, with_loss

if TYPE_CHECKING:
    from caffeflow.engine.standalone import StandaloneNet


def test(line: CommandLine, log: Log) -> None:
    """Tests the net.

    Raises:
        CaffeflowError: Flags, net, data or weights that Caffe would abort of.
    """
    require(line, "model", "Need a model definition to score.", "caffe.cpp:258")
    require(line, "weights", "Need model weights to score.", "caffe.cpp:259")
    device = running_device(line, log, sources=("caffe.cpp:267", "caffe.cpp:275"))
    role = read_model(line, "TEST")
    from caffeflow.engine.standalone import StandaloneNet

    with ExitStack() as opened:
        shows_blobs = role.net.debug_info
        subject = opened.enter_context(
            StandaloneNet(role, device=device, seed=0, on_line=log.write, splits=shows_blobs)
        )
        load_weights(line.text("weights"), subject.net, role, log)
        iterations = line.number("iterations")
        log.info("caffe.cpp:281", f"Running for {iterations} iterations.")
        _run(subject, iterations, log, shows_blobs=shows_blobs)


test.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name says


def _run(subject: StandaloneNet, iterations: int, log: Log, *, shows_blobs: bool) -> None:
    from caffeflow.engine.debug_info import DebugExecutor
    from caffeflow.engine.testing import elements_of
    from caffeflow.engine.training import FusedExecutor

    net = subject.net
    executor = DebugExecutor(net, log.write) if shows_blobs else FusedExecutor(net)
    loss = 0.0
    first: Sequence[Element] = ()
    sums: list[float] = []
    for batch in range(iterations):
        result = executor.forward(subject.next_feeds())
        loss += float(result.loss)
        elements = elements_of(subject.net, result.outputs)
        if batch == 0:  # Caffe: it says how many elements the outputs have (caffe.cpp test)
            first, sums = elements, [0.0] * len(elements)
        for element in elements:
            log.info("caffe.cpp:304", f"Batch {batch}, {element.blob} = {number(element.value)}")
        for place, element in enumerate(elements[: len(first)]):
            sums[place] += element.value
    log.info("caffe.cpp:309", f"Loss: {number(loss / iterations if iterations > 0 else 0.0)}")
    for element, total in zip(first, sums, strict=True):
        mean = Element(element.blob, total / iterations, element.weight)
        log.write(LogLine("caffe.cpp:321", with_loss(mean)))

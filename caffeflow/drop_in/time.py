"""`caffe time`: mean times of a net's layers, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caffeflow.drop_in.devices import running_device
from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import FatalError, Log, require
from caffeflow.drop_in.nets import read_model
from caffeflow.engine.lines import number
from caffeflow.proto.net import Phase

if TYPE_CHECKING:
    from caffeflow.engine.benchmark import Benchmark

_NAME: Final = 10  # columns that a layer's name takes at least


def time(line: CommandLine, log: Log) -> None:
    """Times the net.

    Raises:
        CaffeflowError: Flags, net or data that Caffe would abort of.
    """
    require(line, "model", "Need a model definition to time.", "caffe.cpp:331")
    phase = _asked_phase(line)
    device = running_device(line, log, sources=("caffe.cpp:339", "caffe.cpp:343"))
    role = read_model(line, phase)
    from caffeflow.engine.benchmark import Benchmark
    from caffeflow.engine.standalone import StandaloneNet

    # Caffe's Split layers are among those that it times.
    with StandaloneNet(role, device=device, seed=0, on_line=log.write, splits=True) as subject:
        _measure(Benchmark(subject), line.number("iterations"), log)


def _measure(benchmark: Benchmark, iterations: int, log: Log) -> None:
    log.info("caffe.cpp:351", "Performing Forward")
    log.info("caffe.cpp:356", f"Initial loss: {number(benchmark.first_forward())}")
    log.info("caffe.cpp:357", "Performing Backward")
    benchmark.first_backward()
    log.info("caffe.cpp:365", "*** Benchmark begins ***")
    log.info("caffe.cpp:366", f"Testing for {iterations} iterations.")
    total = 0.0
    for done in range(iterations):
        seconds = benchmark.iterate()
        total += seconds
        log.info("caffe.cpp:394", f"Iteration: {done + 1} forward-backward time: {_ms(seconds)} ms.")
    if iterations > 0:
        _report(benchmark, iterations, total, log)
    log.info("caffe.cpp:415", "*** Benchmark ends ***")


def _report(benchmark: Benchmark, iterations: int, total: float, log: Log) -> None:
    log.info("caffe.cpp:397", "Average time per layer: ")
    for layer in benchmark.layers(iterations):
        log.info("caffe.cpp:400", f"{layer.name:>{_NAME}}\tforward: {_ms(layer.forward)} ms.")
        log.info("caffe.cpp:403", f"{layer.name:>{_NAME}}\tbackward: {_ms(layer.backward)} ms.")
    for source, what, seconds in (
        ("caffe.cpp:408", "Average Forward pass", benchmark.forward_seconds / iterations),
        ("caffe.cpp:410", "Average Backward pass", benchmark.backward_seconds / iterations),
        ("caffe.cpp:412", "Average Forward-Backward", total / iterations),
        ("caffe.cpp:414", "Total Time", total),
    ):
        log.info(source, f"{what}: {_ms(seconds)} ms.")


def _asked_phase(line: CommandLine) -> Phase:
    phase = line.text("phase")
    if phase in ("", "TRAIN"):
        return "TRAIN"
    if phase == "TEST":
        return "TEST"
    raise FatalError(f'phase must be "TRAIN" or "TEST"; found "{phase}"', "caffe.cpp:119")


def _ms(seconds: float) -> str:
    return number(1000 * seconds)

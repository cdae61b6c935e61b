"""`caffeflow test --like-caffe`: the figures and lines of `caffe test`.

It takes a number of whole batches, goes around the end of the data, and weighs all batches alike; so its
figures are those of a log made by Caffe, and not those of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.lines import Element, LogLine, number
from caffeflow.engine.testing import elements_of
from caffeflow.workflows.test import Bench, TestSettings, open_bench


def score_like_caffe(
    settings: TestSettings,
    *,
    iterations: int,
    note: Callable[[str], None],
    on_line: Callable[[LogLine], None],
) -> dict[str, object]:
    """Tests a net as `caffe test` does, and returns the means.

    Args:
        settings: What is asked for.
        iterations: How many batches.
        note: Gets sentences on what was decided or found.
        on_line: Gets Caffe's log lines.

    Raises:
        CaffeflowError: As `caffeflow.workflows.test.score_net`.
    """
    bench = open_bench(settings, note)
    for line in _first_lines(bench, iterations):
        on_line(line)
    losses: list[float] = []
    batches: list[Sequence[Element]] = []
    with closing(open_feed(bench.subject.data, phase="TEST", seed=0)) as feed:
        for batch in range(iterations):
            result = bench.executor.forward(bench.feeds(feed.next()))
            losses.append(float(result.loss))
            batches.append(elements_of(bench.executor.net, result.outputs))
            for element in batches[-1]:
                on_line(LogLine("caffe.cpp:304", f"Batch {batch}, {element.blob} = {number(element.value)}"))
    means = [
        Element(column[0].blob, sum(each.value for each in column) / iterations, column[0].weight)
        for column in zip(*batches, strict=True)
    ]
    loss = sum(losses) / iterations
    on_line(LogLine("caffe.cpp:309", f"Loss: {number(loss)}"))
    for mean in means:
        on_line(LogLine("caffe.cpp:321", _with_loss(mean)))
    return {
        "net": str(bench.subject.path),
        "weights": str(bench.weights),
        "iterations": iterations,
        "loss": loss,
        "outputs": [{"blob": mean.blob, "value": mean.value} for mean in means],
    }


def _first_lines(bench: Bench, iterations: int) -> Iterator[LogLine]:
    device = bench.executor.net.device
    if device.type == "cuda":
        yield LogLine("caffe.cpp:267", f"Use GPU with device ID {device.index}")
    else:
        yield LogLine("caffe.cpp:275", "Use CPU.")
    yield LogLine("caffe.cpp:281", f"Running for {iterations} iterations.")


def _with_loss(mean: Element) -> str:
    text = f"{mean.blob} = {number(mean.value)}"
    if not mean.weight:
        return text
    return f"{text} (* {number(mean.weight)} = {number(mean.weight * mean.value)} loss)"

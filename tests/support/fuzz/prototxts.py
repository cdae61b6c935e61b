"""Prototxt text: nets of all three formats, solvers and label maps, whole nets of the catalogue among them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from caffeflow.proto import net, text
from caffeflow.proto.graph import build_graph
from caffeflow.proto.labelmap import read_label_map
from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.target import of_files

_GOLDEN: Final = Path(__file__).parents[2] / "golden/nets"
_LAYER: Final = re.compile(r"(?m)^layer \{")
_NET: Final = "net.prototxt"
_NAMED: Final = re.compile(rb'((?:train_|test_)?net): "[^"]*"')
_SOLVED: Final = 'layer { name: "a" type: "Input" top: "a" include { phase: TEST stage: "a" } }'

_OLD_NETS: Final = (
    """
    name: "v1" input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 7
    layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 param: "w"
             convolution_param { num_output: 2 kernel_size: 3 } include { phase: TRAIN stage: "a" } }
    layers { name: "d" type: DATA top: "d" top: "l" data_param { source: "x" scale: 0.5 mean_file: "m" } }
    layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { kernel_size: 2 } exclude { min_level: 1 } }
    layers { name: "s" type: SOFTMAX_LOSS bottom: "p" bottom: "l" blob_share_mode: STRICT loss_weight: 2 }""",
    """
    name: "v0" input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 7 force_backward: true
    layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
    layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 weight_filler { type: "gaussian" }
             blobs_lr: 1. weight_decay: 0. } bottom: "pad1" top: "c" }
    layers { layer { name: "d" type: "data" source: "x" meanfile: "m" cropsize: 3 mirror: true } top: "d" }
    layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "h" } } bottom: "c" }""",
)

_PIECES: Final = tuple(
    piece.encode()
    for piece in (
        "layer {", "layers {", "layer { layer {", "}", "{", "<", ">", "[", "]", ":", ",", ";", "-", "#", "'", '"',
        '"\\777"', '"\\xff\\xfe"', '"\\u0000"', '"\\ud800"', '"\\', "name: 7", 'name: "a" "b"', "type: CONVOLUTION",
        "dim: -1", "dim: 18446744073709551616", "dim: 1e400", "num_output: " + "9" * 5000, "scale: nan",
        "scale: -inf", "scale: 1e400f", "phase: 7", "bottom: []", 'top: ["a", "b"]', "[a.b/c] { }", "[ext] : 1",
        "unknown_field_ { a: 1 }", "include { }", "exclude { }", "blobs { shape { dim: -1 } data: 1 }",
        "layer " + "{ a " * 50, "\0", "\ufeff", "\N{SNOWMAN}", "0x", "0777", "1.5f", "true", "input: 'd'",
        "input_dim: 0", "input_shape { dim: 99999999999 }", "x" * 2000,
    )
)  # fmt: skip


def _excerpts(content: str) -> list[bytes]:
    """Returns a net in pieces of a few layers, so that a try takes a millisecond."""
    starts = [match.start() for match in _LAYER.finditer(content)]
    ends = [*starts[5::5], len(content)]
    return [content[start:end].encode() for start, end in zip(starts[::5], ends, strict=True)]


def _golden(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(_GOLDEN.glob(pattern))]


def _small_nets() -> list[bytes]:
    return [*_golden("lenet.train_val.*"), *_golden("lenet.deploy.*"), *map(str.encode, _OLD_NETS)]


def _catalogue() -> list[bytes]:
    """Returns all nets of the catalogue in pieces."""
    whole = [content for content in _golden("*.prototxt") if _LAYER.search(content.decode())]
    return list(dict.fromkeys(piece for content in whole for piece in _excerpts(content.decode())))


@st.composite
def _nested(draw: st.DrawFn) -> bytes:
    """Draws text that opens messages up to 10,000 deep; some of it closes them."""
    word = draw(
        st.sampled_from(("layer {", "net_param { ", "a <", "layers { layer { ", "unknown {", "[", "a: ["))
    )
    depth = draw(st.sampled_from((10, 99, 101, 1000, 10_000)))
    closing = "}" * depth if draw(st.booleans()) else ""
    return f"{word * depth}{closing}".encode()


def _texts(*kinds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Draws texts near those of some kinds, each as often, and texts that are near nothing."""
    near = [mutated(seeds, _PIECES) for seeds in kinds for _ in range(4 // len(kinds))]
    anything = st.text(max_size=300).map(lambda drawn: drawn.encode("utf-8", "surrogatepass"))
    return st.one_of(*near, _nested(), anything, st.binary(max_size=200))


def _read_net(path: Path) -> None:
    net_file = text.read_net(path)
    again = text.parse(text.format_message(net_file.net), type(net_file.net)(), source="printed")
    assert again.SerializeToString(deterministic=True) == net_file.net.SerializeToString(deterministic=True)
    for phase in ("TRAIN", "TEST"):
        with text.located(net_file):
            graph = build_graph(net.filter_net(net_file.net, net.net_state(phase)))
            assert len(graph.nodes) <= len(net_file.net.layer)


def _read_solver(path: Path) -> None:
    Path(_NET).write_text(_SOLVED)
    solver = text.read_solver(path)
    net.train_net_of(solver, solver_path=path, stages=["a"])
    net.test_nets_of(solver, solver_path=path)


def _solvers() -> list[bytes]:
    named = b'net: "net.prototxt" test_iter: 1 test_interval: 1 test_state { stage: "a" } solver_type: ADAM'
    inside = b'net_param { name: "n" layer { name: "a" type: "ReLU" } } test_iter: 1 test_iter: 2 type: "SGD"'
    golden = [_NAMED.sub(rb'\1: "net.prototxt"', solver) for solver in _golden("*.solver*.prototxt")]
    return [*golden, named, inside]


TARGETS: Final = (
    of_files("net text", _texts(_small_nets(), _catalogue()), _read_net, _NET),
    of_files("solver text", _texts(_solvers()), _read_solver, "solver.prototxt"),
    of_files("label map", _texts(_golden("*labelmap*")), read_label_map, "labelmap.prototxt"),
)

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NetError
from caffeflow.proto import text
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter

NET = """
name: "tiny"   # a comment with layer { in it
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 } } }

layer {
  name: 'fc'  type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
"""


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_read_net_knows_the_line_of_each_layer(tmp_path: Path) -> None:
    net_file = text.read_net(write(tmp_path / "net.prototxt", NET))
    assert [layer.name for layer in net_file.net.layer] == ["data", "fc"]
    assert net_file.lines == {"data": 3, "fc": 6}


def test_located_adds_file_and_line_to_an_error_about_a_layer(tmp_path: Path) -> None:
    net_file = text.read_net(write(tmp_path / "net.prototxt", NET))
    with pytest.raises(NetError) as caught, text.located(net_file):
        raise NetError("num_output is 0", layer="fc")
    assert str(caught.value) == f"{tmp_path / 'net.prototxt'}:6: layer 'fc': num_output is 0"


def test_a_long_line_is_not_repeated_whole() -> None:
    with pytest.raises(NetError, match=r"^net\.prototxt:1:12: .*999 … 999") as caught:
        text.parse("input_dim: " + "9" * 5000, NetParameter(), source="net.prototxt")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("layer {\n  relu_parm { }\n}", ":2:3", ["LayerParameter", "relu_parm", "did you mean 'relu_param'"]),
        ("layer {\n relu_param { relu6: true } }", ":2:", ["relu6", "synopsys-caffe"]),
        ('layer { type: "A"\n type: "B" }', ":2:", ["type", "multiple"]),
        ("layer { pooling_param { pool: MEAN } }", ":1:", ["MEAN"]),
        ("layer { name: ", ":1:", []),
        ("layer {\n clip_param { min: 0 } }", ": ", ["layer[0].clip_param.max"]),
    ],
)
def test_errors_name_line_column_and_field(body: str, place: str, words: list[str]) -> None:
    with pytest.raises(NetError) as caught:
        text.parse(body, NetParameter(), source="net.prototxt")
    message = str(caught.value)
    assert message.startswith(f"net.prototxt{place}")
    assert all(word in message for word in words), message
    assert "caffeflow." not in message


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such net file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"\x0a\x05\xff\xfe\x00"), "binary"),
    ],
)
def test_unreadable_nets_say_what_was_found(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "net.prototxt"
    make(path)  # type: ignore[operator]
    with pytest.raises(NetError, match=words):
        text.read_net(path)


def test_solver_type_of_old_solvers_becomes_type(tmp_path: Path) -> None:
    solver = text.read_solver(write(tmp_path / "s.prototxt", "solver_type: ADADELTA base_lr: 0.1"))
    assert solver.type == "AdaDelta"
    assert not solver.HasField("solver_type")
    with pytest.raises(NetError, match="both 'type' and the old 'solver_type'"):
        text.read_solver(write(tmp_path / "s.prototxt", 'solver_type: ADAM type: "Adam"'))


def test_fields_of_both_trees_are_accepted_in_one_solver() -> None:
    solver = SolverParameter()
    text.parse(
        'layer_wise_reduce: false weights: "a" eval_type: "detection" ap_version: "11point"',
        solver,
        source="s",
    )
    assert (solver.eval_type, solver.ap_version, list(solver.weights)) == ("detection", "11point", ["a"])


def test_a_net_given_as_a_solver_is_told_and_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "mixed_up.prototxt"
    path.write_text('\nname: "lenet"\n')
    with pytest.raises(NetError, match=r"has no field 'name', which a net has; is this the file of a net\?"):
        text.read_solver(path)
    path.write_text("base_lr: 0.01\n")
    with pytest.raises(NetError, match=r"'base_lr', which a solver has; is this the file of a solver\?"):
        text.read_net(path)


def test_written_text_reads_back_as_the_same_message() -> None:
    net = text.parse(NET, NetParameter(), source="net")
    net.layer[1].param.add(lr_mult=0.1, decay_mult=1e-7)
    written = text.format_message(net)
    assert text.parse(written, NetParameter(), source="again") == net
    assert "lr_mult: 0.1\n" in written  # the shortest text of the float, not 0.10000000149

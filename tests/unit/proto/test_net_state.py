from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NetError
from caffeflow.proto import net as nets
from caffeflow.proto import text
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter

RULES = [
    # rule, phase, level, stages, kept
    ("", "TRAIN", 0, [], True),
    ("include { phase: TRAIN }", "TRAIN", 0, [], True),
    ("include { phase: TRAIN }", "TEST", 0, [], False),
    ("exclude { phase: TRAIN }", "TRAIN", 0, [], False),
    ("exclude { phase: TRAIN }", "TEST", 0, [], True),
    ("include { }", "TEST", 0, [], True),
    ("exclude { }", "TEST", 0, [], False),
    ("include { phase: TEST } include { phase: TRAIN }", "TRAIN", 0, [], True),
    ("include { min_level: 2 }", "TEST", 1, [], False),
    ("include { min_level: 2 }", "TEST", 2, [], True),
    ("include { max_level: 2 }", "TEST", 3, [], False),
    ("include { min_level: 1 max_level: 2 }", "TEST", 2, [], True),
    ('include { stage: "a" stage: "b" }', "TEST", 0, ["a"], False),
    ('include { stage: "a" stage: "b" }', "TEST", 0, ["b", "c", "a"], True),
    ('include { stage: "a" } include { stage: "b" }', "TEST", 0, ["b"], True),
    ('include { not_stage: "a" }', "TEST", 0, ["a"], False),
    ('exclude { stage: "a" not_stage: "b" }', "TEST", 0, ["a"], False),
    ('exclude { stage: "a" not_stage: "b" }', "TEST", 0, ["a", "b"], True),
]


@pytest.mark.parametrize(("rules", "phase", "level", "stages", "kept"), RULES)
def test_include_and_exclude_rules(
    rules: str, phase: nets.Phase, level: int, stages: list[str], kept: bool
) -> None:
    net = text.parse(f'layer {{ name: "x" {rules} }}', NetParameter(), source="n")
    filtered = nets.filter_net(net, nets.net_state(phase, level=level, stages=stages))
    assert len(filtered.layer) == int(kept)
    assert len(net.layer) == 1


def test_include_together_with_exclude_is_refused() -> None:
    net = text.parse('layer { name: "x" include { } exclude { } }', NetParameter(), source="n")
    with pytest.raises(NetError, match=r"layer 'x'.*both include and exclude"):
        nets.filter_net(net, nets.net_state("TEST"))


NET = """
name: "n"
layer { name: "train_only" top: "a" include { phase: TRAIN } }
layer { name: "test_only" top: "a" include { phase: TEST } }
layer { name: "staged" top: "b" include { stage: "big" } }
"""


@pytest.fixture
def solver_dir(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path


def solver_of(prototxt: str) -> SolverParameter:
    return text.parse(prototxt, SolverParameter(), source="solver.prototxt")


def names(role: nets.NetRole) -> list[str]:
    return [layer.name for layer in role.net.layer]


def test_one_net_gives_a_train_net_and_as_many_test_nets_as_test_iter(solver_dir: Path) -> None:
    solver = solver_of(
        'net: "net.prototxt" test_iter: 3 test_iter: 4 test_interval: 1 train_state { stage: "big" }'
    )
    path = solver_dir / "solver.prototxt"
    assert names(nets.train_net_of(solver, solver_path=path)) == ["train_only", "staged"]
    tests = nets.test_nets_of(solver, solver_path=path)
    assert [role.label for role in tests] == ["test net #0", "test net #1"]
    assert names(tests[0]) == ["test_only"]


def test_command_line_stages_are_added(solver_dir: Path) -> None:
    role = nets.train_net_of(solver_of('net: "net.prototxt"'), solver_path=solver_dir / "s", stages=["big"])
    assert names(role) == ["train_only", "staged"]


@pytest.mark.parametrize(
    ("prototxt", "words"),
    [
        ("base_lr: 1", "none of them"),
        ('net: "net.prototxt" train_net: "net.prototxt"', "net and train_net"),
        ('net: "net.prototxt" net_param { }', "net and net_param"),
    ],
)
def test_a_solver_names_exactly_one_train_net(solver_dir: Path, prototxt: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        nets.train_net_of(solver_of(prototxt), solver_path=solver_dir / "s.prototxt")


@pytest.mark.parametrize(
    ("prototxt", "words"),
    [
        ('train_net: "net.prototxt" test_iter: 1 test_interval: 1', "1 test_iter for 0 test nets"),
        ('net: "net.prototxt" test_net: "net.prototxt" test_interval: 1', "0 test_iter for 1 test nets"),
        ('net: "net.prototxt" test_iter: 1', "no test_interval"),
        (
            'net: "net.prototxt" test_iter: [1, 1] test_interval: 1 test_state { }',
            "1 test_state for 2 test nets",
        ),
    ],
)
def test_test_nets_iterations_and_states_must_fit(solver_dir: Path, prototxt: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        nets.test_nets_of(solver_of(prototxt), solver_path=solver_dir / "s.prototxt")


def test_a_net_that_lies_beside_the_solver_but_not_here_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "net.prototxt").write_text(NET)
    with pytest.raises(NetError, match="lies beside the solver"):
        nets.train_net_of(solver_of('net: "net.prototxt"'), solver_path=Path("sub/solver.prototxt"))

"""What is told of a dead caffe: its last words, not an exit code."""

from __future__ import annotations

import pytest

from caffeflow.native.failure import LastWords

PREFIX = "1120 10:10:51.668388 14598 "
STACK = ["*** Check failure stack trace: ***", "    @     0x7f9c36c3250d  google::LogMessage::Fail()"]


def explain(lines: list[str], returncode: int = -6) -> str:
    words = LastWords()
    for line in lines:
        words.see(line)
    return words.explain(returncode)


@pytest.mark.parametrize("prefix", ["F" + PREFIX, "F2026" + PREFIX])
def test_fatal_check_is_told_without_the_log_prefix_in_both_glog_forms(prefix: str) -> None:
    lines = [
        "I" + PREFIX + "net.cpp:53] Initializing net",
        prefix + "blob.cpp:18] Check failed: a == b (2 vs. 3) ",
    ]
    assert explain([*lines, *STACK]) == "Check failed: a == b (2 vs. 3) (blob.cpp:18)"


def test_protobuf_complaint_comes_with_the_fatal_line_it_leads_to() -> None:
    told = explain([
        "[libprotobuf ERROR google/protobuf/text_format.cc:309] Error parsing text-format caffe.NetParameter:"
        ' 3:9: Message type "caffe.LayerParameter" has no field named "relu6_param".',
        "F" + PREFIX + "upgrade_proto.cpp:90] Check failed: ReadProtoFromTextFile(param_file, param)"
        " Failed to parse NetParameter file: net.prototxt",
        *STACK,
    ])  # fmt: skip
    assert '3:9: Message type "caffe.LayerParameter" has no field named "relu6_param"' in told
    assert "net.prototxt (upgrade_proto.cpp:90)" in told
    assert "use a tree that has the field" in told


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Cannot use GPU in CPU-only Caffe: check mode.", "solver_mode: CPU"),
        ("Check failed: error == cudaSuccess (2 vs. 0)  out of memory", "lower batch_size"),
        ("Check failed: error == cudaSuccess (101 vs. 0)  invalid device ordinal", "nvidia-smi"),
        ("Check failed: mdb_status == 0 (2 vs. 0) No such file or directory", "source is missing"),
    ],
)
def test_known_causes_come_with_what_to_do(text: str, advice: str) -> None:
    assert advice in explain(["F" + PREFIX + "common.cpp:66] " + text])


def test_a_killed_program_is_told_by_its_signal_and_last_line() -> None:
    told = explain(["I" + PREFIX + "solver.cpp:218] Iteration 7, loss = 1.5"], returncode=-9)
    assert "SIGKILL" in told
    assert "memory" in told
    assert "Iteration 7" in told


def test_a_shell_around_the_program_changes_nothing() -> None:
    assert "SIGSEGV" in explain(["starting"], returncode=128 + 11)


def test_loader_errors_are_told_as_they_stand() -> None:
    line = "caffe: error while loading shared libraries: libcudart.so.8.0: cannot open shared object file"
    assert explain([line], returncode=127).startswith(line)


def test_a_silent_death_names_the_exit_code() -> None:
    assert explain([], returncode=3) == "ended with exit code 3"


def test_an_error_line_counts_where_there_is_no_fatal_one() -> None:
    error = "E" + PREFIX + "common.cpp:114] Cannot create Cublas handle"
    assert explain([error, "usage: …"], returncode=1) == "Cannot create Cublas handle (common.cpp:114)"

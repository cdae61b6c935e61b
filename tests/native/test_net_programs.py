"""Nets written in Python: the real pycaffe makes the same messages from the same programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow import pycaffe
from caffeflow.proto.caffe_pb2 import NetParameter
from tests.support.native import NativeCaffe
from tests.support.native_pycaffe import ask_pycaffe
from tests.support.net_programs import PROGRAMS, run_program

pytestmark = pytest.mark.native


def test_programs_make_equal_messages(caffe: NativeCaffe, tmp_path: Path) -> None:
    assert len(PROGRAMS) == 6
    lines = [f"PROGRAMS = {PROGRAMS!r}"]
    lines += [
        "for number, text in enumerate(PROGRAMS.values()):",
        "    names = {'caffe': caffe, 'L': caffe.layers, 'P': caffe.params}",
        "    exec(text, names)",
        "    out[str(number)] = np.frombuffer(names['net'].SerializeToString(), np.uint8)",
    ]
    answers = ask_pycaffe(caffe, "\n".join(lines), tmp_path)
    for number, (name, text) in enumerate(PROGRAMS.items()):
        net = run_program(text, pycaffe)
        assert isinstance(net, NetParameter)
        assert net == NetParameter.FromString(answers[str(number)].tobytes()), name

"""Python code run in the real Caffe's Python, and the arrays and bytes that come back."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.support.native import NativeCaffe

_FRAME = """
import sys
import numpy as np
import caffe
given = dict(np.load(sys.argv[1]))
out = {{}}
{body}
np.savez(sys.argv[2], **out)
"""


def ask_pycaffe(
    caffe: NativeCaffe, body: str, folder: Path, given: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Runs statements with `caffe`, `np` and the dict `given`; returns what they put into the dict `out`.

    Bytes come as `np.frombuffer(data, np.uint8)`, and are taken out by `tobytes`.
    """
    script, inputs, outputs = folder / "ask.py", folder / "given.npz", folder / "out.npz"
    script.write_text(_FRAME.format(body=textwrap.dedent(body)))
    np.savez(inputs, **(given or {}))
    caffe.run("python", script, inputs, outputs)
    with np.load(outputs) as file:
        return dict(file)

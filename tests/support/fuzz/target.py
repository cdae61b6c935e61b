"""What is fuzzed: a target is a strategy of inputs and a function that takes one.

The one rule: a target's function lets every CaffeflowError pass through, and `hold` alone swallows it; so
whatever else comes out of the product is a fault, whichever target found it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy

from caffeflow.errors import CaffeflowError


@dataclass(frozen=True, kw_only=True)
class Target:
    """One kind of input of the product.

    Attributes:
        name: What the command line and the reports call it.
        inputs: Draws inputs.
        check: Hands one to the product.
        shown: How a failing input is written to a file: bytes as they are, messages as text.
    """

    name: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], None]
    shown: Callable[[Any], bytes] = bytes


def of_files(name: str, inputs: SearchStrategy[bytes], read: Callable[[Path], object], file: str) -> Target:
    """Returns a target whose reader wants a file.

    Args:
        name: The target's.
        inputs: Draws the file's bytes.
        read: Reads it.
        file: What it is called; some readers look at the ending.
    """

    def check(content: bytes) -> None:
        path = Path(file)
        path.write_bytes(content)
        read(path)

    return Target(name=name, inputs=inputs, check=check)


def hold(target: Target, drawn: Any) -> bool:
    """Hands an input to the product, and returns whether it was taken; our own errors are refusals.

    Raises:
        Exception: What else came out of the product, or that its error said nothing.
    """
    try:
        target.check(drawn)
    except CaffeflowError as error:
        kind, words = type(error).__name__, str(error)
    else:
        return True
    assert words, f"{kind} says nothing"
    return False

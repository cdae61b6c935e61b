"""Python 2's print and except statements, rewritten for Python 3.

The text is split into words by Python's own tokenizer, which Python 2's statements pass, so strings,
comments and statements over several lines come out right. What already is Python 3 is not looked at.
"""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from tokenize import TokenInfo
from typing import Final

from caffeflow.native.patches.patch import PlaceNotFoundError

_LAYOUT: Final = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
_DEPTH: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True, kw_only=True)
class _Replacement:
    start: int
    end: int
    text: str


def has_statements(text: str) -> bool:
    """Tells whether a text is no Python 3, and has statements that `rewrite_statements` rewrites."""
    return not is_python_3(text) and rewrite_statements(text) != text


def is_python_3(text: str) -> bool:
    """Tells whether Python 3 can read a text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Caffe's escapes in strings
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):
            return False
    return True


def rewrite_statements(text: str) -> str:
    """Returns a text with its print and except statements in Python 3's form.

    Raises:
        PlaceNotFoundError: The text cannot be split into words.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise PlaceNotFoundError("Python source whose brackets and indents close") from error
    offsets = _line_offsets(text)
    for statement in reversed(list(_statements(tokens))):
        done = _replacement(statement, text, offsets)
        if done:
            text = text[: done.start] + done.text + text[done.end :]
    return text


def _statements(tokens: list[TokenInfo]) -> Iterator[list[TokenInfo]]:
    """Yields the words of each simple statement and of each compound one's head."""
    words: list[TokenInfo] = []
    depth = 0
    for token in tokens:
        if token.type in _LAYOUT:
            continue
        depth += _DEPTH.get(token.string, 0) if token.type == tokenize.OP else 0
        if token.type in {tokenize.NEWLINE, tokenize.ENDMARKER} or (
            depth == 0 and token.string in {";", ":"}
        ):
            if words:
                yield words
            words = []
        else:
            words.append(token)


def _replacement(words: list[TokenInfo], text: str, offsets: list[int]) -> _Replacement | None:
    def start(token: TokenInfo) -> int:
        return offsets[token.start[0] - 1] + token.start[1]

    def end(token: TokenInfo) -> int:
        return offsets[token.end[0] - 1] + token.end[1]

    first, rest = words[0], words[1:]
    if first.string == "print" and not (rest and rest[0].string in {"(", "=", "."}):
        target = ""
        if rest and rest[0].string == ">>":
            comma = _commas(rest)[:1] or [len(rest)]
            target = text[start(rest[1]) : end(rest[comma[0] - 1])]
            rest = rest[comma[0] + 1 :]
        stays_on_line = bool(rest) and rest[-1].string == ","
        shown = rest[:-1] if stays_on_line else rest
        arguments = [text[start(shown[0]) : end(shown[-1])]] if shown else []
        arguments += ['end=" "'] if stays_on_line else []
        arguments += [f"file={target}"] if target else []
        return _Replacement(
            start=start(first), end=end(words[-1]), text=f"print({', '.join(arguments)})"
        )  # fmt: skip
    commas = _commas(words)
    if first.string == "except" and len(commas) == 1 and commas[0] == len(words) - 2:
        return _Replacement(start=end(words[commas[0] - 1]), end=start(words[-1]), text=" as ")
    return None


def _commas(words: list[TokenInfo]) -> list[int]:
    """Returns where the commas outside of brackets are."""
    depth, found = 0, []
    for index, word in enumerate(words):
        depth += _DEPTH.get(word.string, 0) if word.type == tokenize.OP else 0
        if depth == 0 and word.string == ",":
            found.append(index)
    return found


def _line_offsets(text: str) -> list[int]:
    offsets = [0]
    for line in io.StringIO(text):
        offsets.append(offsets[-1] + len(line))
    return offsets

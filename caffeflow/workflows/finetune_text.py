"""The files of a fine-tuning as text: what `render` writes, with the changed nets and the weights put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.classifier import NewLayer
from caffeflow.proto.freezing import Frozen
from caffeflow.proto.text import format_message
from caffeflow.render.about import about_net
from caffeflow.render.environment import quoted
from caffeflow.render.render import render_around
from caffeflow.render.resolve import Resolution
from caffeflow.workflows.finetune_weights import Start


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is other than in the net that is fine-tuned.

    Attributes:
        renamed: Old layer name to new one.
        new: How the renamed layers begin.
        frozen: What learns no more.
        until: The last layer that learns no more, as the user named it.
        notes: What the user should be told.
    """

    renamed: Mapping[str, str]
    new: NewLayer
    frozen: Frozen
    until: str | None
    notes: tuple[str, ...]


def texts_of(
    nets: Mapping[str, NetParameter],
    resolution: Resolution,
    changes: Changes,
    start: Start,
    *,
    command: str,
) -> dict[str, str]:
    """Returns file name to text.

    Args:
        nets: Stage to net.
        resolution: The values of all variables.
        changes: What was done to the nets.
        start: The weights.
        command: The command line, for the comments.
    """
    texts = {
        f"{stage}.prototxt": _net_text(net, stage, resolution, changes, command)
        for stage, net in nets.items()
    }
    texts |= render_around(resolution, command=command)
    texts["solver.prototxt"] = _with_weights(texts["solver.prototxt"], start)
    variables = f"{resolution.net.name}.variables.toml"
    texts[variables] += _record(changes, start)
    return texts


def _net_text(net: NetParameter, stage: str, resolution: Resolution, changes: Changes, command: str) -> str:
    about = about_net(resolution, stage, command)
    lines = [*about["lines"], *_remarks(changes)]
    header = "".join(f"# {line}\n" for line in lines)
    return header + _marked(format_message(net), about["missing"])


def _remarks(changes: Changes) -> list[str]:
    pairs = ", ".join(f"{old} is {new}" for old, new in changes.renamed.items())
    rate = changes.new.lr_mult
    lines = [f"Learns anew, at {rate:g} and {2 * rate:g} times the rate: {pairs}."]
    if changes.until is not None:
        lines.append(f"Learns no more: all up to {changes.until}.")
    return lines


def _marked(text: str, missing: str) -> str:
    """Puts the remark on sources that are not there behind each of them."""
    if not missing:
        return text
    lines = text.split("\n")
    return "\n".join(line + missing if line.strip().startswith("source: ") else line for line in lines)


def _with_weights(text: str, start: Start) -> str:
    """Names the weights behind the net, so that a bare `caffeflow train` begins with them."""
    if not start.written:
        return text
    lines = text.split("\n")
    place = next(index for index, line in enumerate(lines) if line.startswith("net: "))
    remark = "" if start.path else "  # not there yet"
    about = "# A Caffe without this field (1.0, SSD's fork): remove it, and give the file as --weights."
    lines[place + 1 : place + 1] = [about, f"weights: {quoted(start.written)}{remark}"]
    return "\n".join(lines)


def _record(changes: Changes, start: Start) -> str:
    lines = ["", "[finetune]", f"name = {quoted(changes.new.name)}"]
    lines.append(f"weights = {quoted(start.written)}")
    lines.append(f"freeze = {quoted(changes.until or '')}")
    lines += ["", "[finetune.renamed]"]
    lines += [f"{quoted(old)} = {quoted(new)}" for old, new in changes.renamed.items()]
    return "\n".join(lines) + "\n"

"""Writes the rendered nets of this folder anew: `python -m tests.golden.regenerate`.

They are change detectors made by our own templates; no claim of correctness rests on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from caffeflow.render.catalog import find_net, net_names
from caffeflow.render.render import render_in_memory

NETS = Path(__file__).resolve().parent / "nets"


def cases() -> Iterator[tuple[str, str, str]]:
    """Yields (name of the golden files, net, variant) of every net in every variant."""
    for name in net_names():
        variants = list(find_net(name).variants) or [""]
        for variant in variants:
            yield name if variant == variants[0] else f"{name}-{variant}", name, variant


def texts(net: str, variant: str) -> dict[str, str]:
    """Returns the texts of a net's prototxts by name (`deploy`, `solver`), with paths that no machine has."""
    rendered = render_in_memory(net, variant=variant or None, working_dir=Path("/somewhere"))
    ending = ".prototxt"
    return {name.removesuffix(ending): text for name, text in rendered.texts.items() if name.endswith(ending)}


def regenerate() -> None:
    """Writes all files."""
    NETS.mkdir(exist_ok=True)
    for golden, net, variant in cases():
        for stage, text in texts(net, variant).items():
            (NETS / f"{golden}.{stage}.prototxt").write_text(text)


if __name__ == "__main__":
    regenerate()

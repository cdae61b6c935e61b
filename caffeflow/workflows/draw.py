"""`caffeflow draw`: a picture of a net's graph."""

from __future__ import annotations

import logging
from pathlib import Path

from caffeflow.errors import UsageError
from caffeflow.report.picture import draw_net
from caffeflow.report.plot import picture_format
from caffeflow.workflows.open_net import Ask, open_net

_log = logging.getLogger(__name__)


def draw(ask: Ask, out: Path, *, force: bool) -> None:
    """Draws a net into an SVG or PNG file.

    A net with layer types that have no description here is drawn without shapes, and a warning says so.

    Raises:
        UsageError: The picture is there already, is neither .svg nor .png, or there is no such net.
        NetError: Caffe would refuse the net.
    """
    picture_format(out)
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already; replace it with --force, or choose another --out")
    opened = open_net(ask)
    shapes, why_not = opened.find_shapes()
    if shapes is None:
        _log.warning("drawn without shapes: %s", why_not)
    title = opened.label if not opened.net.name else f"{opened.net.name} ({opened.label}, {ask.phase})"
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_net(opened.graph, shapes, out, title=title)

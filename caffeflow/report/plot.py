"""Learning curves as a picture: loss, scores and learning rate over iterations.

matplotlib comes with the extra `plot`; it is imported here on use and never with a window system.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from caffeflow.errors import UsageError
from caffeflow.files import write_atomically
from caffeflow.report.curves import Curves, Kind, Series, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS: Final = ("#1f6fb4", "#d1495b", "#2a9d5c", "#e08e1b", "#6b4fa0", "#17a2b0", "#8d6e5a", "#c05a9f")
_TITLES: Final[dict[Kind, str]] = {
    "loss": "loss", "score": "accuracy", "class": "AP of each class", "other": "other outputs",
    "rate": "learning rate",
}  # fmt: skip
_HEIGHTS: Final[dict[Kind, float]] = {"loss": 3.0, "score": 3.0, "class": 3.0, "other": 2.4, "rate": 1.2}
_DASHES: Final = ("-", "--", ":", "-.")
_MOST_MARKED_POINTS: Final = 60
_MIN_POINTS_TO_SMOOTH: Final = 20
_MOST_OTHERS: Final = 6
_MOST_CLASSES: Final = 8
_SHARES: Final = ("score", "class")  # the larger the better, and at most 1


def draw_curves(curves: Curves | Sequence[Curves], out: Path, *, title: str = "") -> None:
    """Draws one or several trainings into a PNG file.

    Args:
        curves: One training (a colour each output) or several (a colour each training).
        out: The picture; `.png` or `.svg`. A file there is replaced.
        title: What stands above the picture; the labels of the trainings if empty.

    Raises:
        UsageError: matplotlib is not installed.
        DataError: The file cannot be written.
    """
    trainings = [curves] if isinstance(curves, Curves) else list(curves)
    picture_format(out)
    save_figure(_figure(trainings, title or ", ".join(training.label for training in trainings)), out)


def picture_format(path: Path) -> str:
    """Returns `png` or `svg` by the ending of a file name.

    Raises:
        UsageError: It ends in something else.
    """
    ending = path.suffix.lower().lstrip(".")
    if ending not in ("png", "svg"):
        raise UsageError(f"{path}: pictures are written as .png or .svg; choose a name ending in one of them")
    return ending


def save_figure(figure: Figure, out: Path, *, dpi: int = 130) -> None:
    """Writes a figure whole or not at all; text in an SVG stays text."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format=picture_format(out), dpi=dpi)
    write_atomically(out, buffer.getvalue())


def new_figure(
    width: float, height: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Returns an empty figure of a size in inches, with no window system behind it.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "pictures are drawn with matplotlib, which is not installed; get it with: "
            "pip install 'caffeflow[plot]'"
        ) from error
    return Figure(figsize=(width, height), layout=layout)


def _figure(trainings: Sequence[Curves], title: str) -> Figure:
    kinds: list[Kind] = [kind for kind in _TITLES if _is_shown(kind, trainings)]
    if len(trainings) > 1 and "class" in kinds:
        kinds.remove("class")  # every training times every class is too much for one panel
    kinds = kinds or ["loss"]
    figure = new_figure(9.0, sum(_HEIGHTS[kind] for kind in kinds) + 0.9)
    from matplotlib.ticker import MaxNLocator  # new_figure has told if there is no matplotlib

    axes = figure.subplots(
        len(kinds), 1, sharex=True, squeeze=False, height_ratios=[_HEIGHTS[kind] for kind in kinds]
    )[:, 0]
    for kind, panel in zip(kinds, axes, strict=True):
        _draw_panel(panel, kind, trainings)
    axes[-1].set_xlabel("iteration")
    whole = MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1)
    axes[-1].xaxis.set_major_locator(whole)
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.suptitle(title, fontsize=12, fontweight="bold")
    if len(trainings) == 1 and math.isfinite(trainings[0].seconds):
        figure.text(0.995, 0.005, _duration(trainings[0].seconds), ha="right", fontsize=8, color="#666666")
    return figure


def _is_shown(kind: Kind, trainings: Sequence[Curves]) -> bool:
    series = [one for training in trainings for one in training.of(kind)]
    # A loss that never was a number is marked in its panel; another panel would be empty.
    return any(kind == "loss" or any(map(math.isfinite, one.values)) for one in series)


def _draw_panel(panel: Axes, kind: Kind, trainings: Sequence[Curves]) -> None:
    single = len(trainings) == 1
    colours = iter(_COLOURS * 20)
    for training in trainings:
        colour = None if single else next(colours)
        for place, one in enumerate(_chosen(kind, training)):
            _draw_series(
                panel, one, colour=colour or next(colours), dashes=_DASHES[0 if single else place % 4],
                label=one.shown_name if single else f"{training.label}: {one.shown_name}",
            )  # fmt: skip
        bad = training.first_bad()
        if kind == "loss" and bad is not None:
            _mark_bad(panel, bad, colour or "#b00020")
    _dress(panel, kind, _title(kind, trainings))


def _chosen(kind: Kind, training: Curves) -> list[Series]:
    """Returns the series worth a line each; of many classes those that end lowest."""
    if kind == "loss":
        return training.losses()
    series = training.of(kind)
    if kind == "class" and len(series) > _MOST_CLASSES:
        return sorted(series, key=lambda one: one.values[-1])[:_MOST_CLASSES]
    return series[:_MOST_OTHERS] if kind == "other" else series


def _title(kind: Kind, trainings: Sequence[Curves]) -> str:
    series = [one for training in trainings for one in training.of(kind)]
    if kind == "score" and all("detection" in one.name for one in series):
        return "mAP"
    if kind == "class" and len(series) > _MOST_CLASSES:
        return f"AP, the {_MOST_CLASSES} lowest of {len(series)}"
    return _TITLES[kind]


def _draw_series(panel: Axes, series: Series, *, colour: str, dashes: str, label: str) -> None:
    points = [(x, y) for x, y in zip(series.iterations, series.values, strict=True) if math.isfinite(y)]
    if not points:
        return
    x, y = zip(*points, strict=True)
    style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.6}
    if len(points) == 1:  # no line goes through it
        style |= {"marker": "o", "markersize": 3.5}
    if series.kind == "rate":
        # Rates that change all the time (inv, poly) are slopes; those that change at times are steps.
        drawstyle = "default" if 2 * len(set(y)) > len(y) else "steps-post"
        panel.plot(x, y, drawstyle=drawstyle, **style)
    elif series.is_test:
        marker = "o" if len(points) <= _MOST_MARKED_POINTS else ""
        style |= {"marker": marker, "markersize": 3.5}
        panel.plot(x, y, label=f"{label}: {_last_and_best(series, y)}", **style)
    elif len(points) < _MIN_POINTS_TO_SMOOTH:
        panel.plot(x, y, label=label, **style)
    else:
        window = max(5, len(points) // 30) | 1
        panel.plot(x, y, color=colour, linewidth=0.7, alpha=0.3)
        label = f"{label} (thin: as logged, thick: mean of {window})"
        panel.plot(x, smooth(y, window=window), label=label, **style)


def _mark_bad(panel: Axes, iteration: int, colour: str) -> None:
    panel.axvline(iteration, color=colour, linestyle=":", linewidth=1.2)
    panel.annotate(
        f"nan or inf at {iteration:,} ", (iteration, 1.0), xycoords=("data", "axes fraction"),
        ha="right", va="top", fontsize=8, color=colour, rotation=90,
    )  # fmt: skip


def _last_and_best(series: Series, values: Sequence[float]) -> str:
    best = max(values) if series.kind in _SHARES else min(values)
    if series.kind in _SHARES and 0 <= best <= 1:
        return f"last {values[-1]:.2%}, best {best:.2%}"
    return f"last {values[-1]:.4g}, best {best:.4g}"


def _dress(panel: Axes, kind: Kind, title: str) -> None:
    panel.set_ylabel(title)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0.01)
    # Thin lines are raw values: single outliers of theirs do not set the scale.
    thick = [line for line in panel.get_lines() if line.get_linewidth() > 1]
    values = sorted(value for line in thick for value in np.asarray(line.get_ydata(), float).tolist())
    if kind in ("loss", "rate") and values and values[0] > 0 and values[-1] > 30 * values[0]:
        panel.set_yscale("log")
        panel.set_ylim(values[0] / 2, values[-1] * 2)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if kind in _SHARES and values and values[0] >= 0 and values[-1] <= 1:
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if panel.get_legend_handles_labels()[1]:
        panel.legend(
            fontsize=8, frameon=False, ncols=2 if len(panel.get_legend_handles_labels()[1]) > 3 else 1
        )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

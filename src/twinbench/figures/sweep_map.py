"""A sweep of two axes: the metric and the seconds of training per round at every setting, means over the rounds.

The outline marks the setting with the best mean on the validation pairs. The dotted outline marks the setting that the
report found best, or kept. A hatched setting has diverged rounds, and shows their number; its mean is that of its other
rounds.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from twinbench.evaluation.sweeps import SweepResults
from twinbench.figures.style import DIVERGED, StudyResults, new_figure, save
from twinbench.metric import METRICS
from twinbench.spec.study import Swept

TABLES = ("metrics", "cells")
NEEDS = "sweep"


def draw(study: StudyResults, path: Path) -> None:
    """Draw a heat map of the metric and one of the seconds; the first axis goes to the right."""
    results = SweepResults(Swept(**study.swept), study.metrics, study.cells)
    columns, rows = (len(axis.values) for axis in results.swept.axes)
    figure = new_figure(max(7.0, 1.7 * columns), max(2.4, 0.5 * rows + 1.6))
    metric, seconds = figure.subplots(1, 2, sharey=True)
    found, split, of = results.found, results.swept.split, results.metric
    means = {name: setting.values[split].mean for name, setting in found.items()}
    # Light is good, in either panel.
    colours = "magma" if of.higher_is_better else "magma_r"
    _draw(metric, results, means, of.text, cmap=colours, scale=PercentFormatter(1.0, 0) if of.share else None)
    metric.set_title(f"{split} {of.words}")
    _draw(seconds, results, {name: setting.seconds.mean for name, setting in found.items()}, METRICS["seconds"].text)
    seconds.set_title("training, seconds per round")
    metric.set_ylabel(results.swept.axes[1].label)
    _mark(metric, results)
    save(figure, path)


def _draw(
    panel: Axes, results: SweepResults, values: dict[str, float], text: Callable, cmap: str = "magma_r",
    scale: PercentFormatter | None = None,
) -> None:  # fmt: skip
    """Draw one value per setting, and the colour bar. A setting whose rounds all diverged has NaN, and stays white."""
    first, second = results.swept.axes
    grid = np.full((len(second.values), len(first.values)), np.nan)
    for name, value in values.items():
        grid[_place(results, name)] = value
    image = panel.imshow(grid, cmap=cmap, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            light = sum(image.to_rgba(value)[:3]) > 1.5
            panel.text(column, row, text(value), ha="center", va="center", fontsize=7,
                       color="black" if light else "white")  # fmt: skip
    panel.set_xticks(range(len(first.texts)), first.texts)
    panel.set_yticks(range(len(second.texts)), second.texts)
    panel.set_xlabel(first.label)
    panel.grid(visible=False)
    panel.tick_params(length=0)
    if np.isfinite(grid).any():
        panel.figure.colorbar(image, ax=panel, format=scale)


def _place(results: SweepResults, name: str) -> tuple[int, int]:
    """Return row and column of a setting."""
    (first, second), (x, y) = results.swept.axes, results.swept.settings[name]
    return second.values.index(y), first.values.index(x)


def _mark(panel: Axes, results: SweepResults) -> None:
    """Mark diverged settings, those that the report's conclusion names, and the best one."""
    for name, setting in results.found.items():
        row, column = _place(results, name)
        if setting.diverged:
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="//", color=DIVERGED, linewidth=0)
            panel.add_patch(box)
            panel.text(
                column, row - 0.3, f"{setting.diverged} of {results.rounds} diverged", ha="center", va="center",
                fontsize=6, color=DIVERGED, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    marked = [(name, ":", 0.40) for name in results.swept.claimed]
    marked += [(results.best.name, "-", 0.47)] if results.best else []
    for name, style, half in marked:
        row, column = _place(results, name)
        box = Rectangle((column - half, row - half), 2 * half, 2 * half, fill=False, edgecolor="black", linestyle=style)
        panel.add_patch(box).set(linewidth=1.6, path_effects=[withStroke(linewidth=3.2, foreground="white")])

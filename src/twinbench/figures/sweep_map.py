"""A sweep of two axes: the metric and the seconds of training a round at every setting, means over the rounds.

The outline marks the best mean on the validation pairs, the dotted one the report's best. Hatched settings have rounds
that diverged, with their number; the others make the mean.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from twinbench.config.fields import RATES
from twinbench.figures.style import new_figure, save
from twinbench.figures.sweeps import BEST, DIVERGED, SweepResults, metric_axis


def draw_sweep(results: SweepResults, path: Path) -> None:
    """Draw a heat map of the metric and one of the seconds; the first axis goes to the right."""
    columns, rows = (len(axis["values"]) for axis in results.swept["axes"])
    figure = new_figure(max(7.0, 1.7 * columns), max(2.4, 0.5 * rows + 1.6))
    metric, seconds = figure.subplots(1, 2, sharey=True)
    found = results.found
    means = pd.Series({point: setting.values[results.swept["split"]].mean for point, setting in found.items()})
    share = results.swept["metric"] in RATES
    # Light is good, in either panel.
    colours = "magma" if results.swept["metric"] == "accuracy" else "magma_r"
    image = _draw(metric, results, means, "{:.1%}" if share else "{:.3g}", colours)
    if means.notna().any():
        metric_axis(figure.colorbar(image, ax=metric).ax.yaxis, results.swept["metric"])
    metric.set_title(results.quantity)
    times = pd.Series({point: setting.seconds.mean for point, setting in found.items()})
    image = _draw(seconds, results, times, "{:.2g}", "magma_r")
    if times.notna().any():
        figure.colorbar(image, ax=seconds)
    seconds.set_title("training, s a round")
    metric.set_ylabel(results.swept["axes"][1]["label"])
    _mark(metric, results)
    save(figure, path)


def _draw(panel: Axes, results: SweepResults, values: pd.Series, text: str, colours: str) -> AxesImage:
    """Draw a value a setting; one that is missing, since every round diverged, is left white."""
    first, second = results.swept["axes"]
    grid = np.full((len(second["values"]), len(first["values"])), np.nan)
    for point, value in values.items():
        grid[_place(results, point)] = value
    image = panel.imshow(grid, cmap=colours, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            light = sum(image.to_rgba(value)[:3]) > 1.5
            panel.text(column, row, text.format(value), ha="center", va="center", fontsize=7,
                       color="black" if light else "white")  # fmt: skip
    panel.set_xticks(range(len(first["texts"])), first["texts"])
    panel.set_yticks(range(len(second["texts"])), second["texts"])
    panel.set_xlabel(first["label"])
    panel.grid(visible=False)
    panel.tick_params(length=0)
    return image


def _place(results: SweepResults, point: str) -> tuple[int, int]:
    """Return row and column of a point."""
    (first, second), (x, y) = results.swept["axes"], results.swept["points"][point]
    return second["values"].index(y), first["values"].index(x)


def _mark(panel: Axes, results: SweepResults) -> None:
    """Mark diverged settings, those that the report's conclusion names, and the best one."""
    rounds = results.table["round"].nunique()
    for point, setting in results.found.items():
        row, column = _place(results, point)
        if setting.diverged:
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="//", color=DIVERGED, linewidth=0)
            panel.add_patch(box)
            panel.text(
                column, row - 0.3, f"{setting.diverged} of {rounds} diverged", ha="center", va="center", fontsize=6,
                color=DIVERGED, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    marked = [(point, ":", 0.40) for point in results.swept["claimed"]]
    marked += [(results.best.point, "-", 0.47)] if results.best else []
    for point, style, half in marked:
        row, column = _place(results, point)
        box = Rectangle((column - half, row - half), 2 * half, 2 * half, fill=False, edgecolor=BEST, linestyle=style)
        panel.add_patch(box).set(linewidth=1.6, path_effects=[withStroke(linewidth=3.2, foreground="white")])

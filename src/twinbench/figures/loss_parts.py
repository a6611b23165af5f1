"""Losses of the models whose objective changes with the epoch: mean over rounds and folds, with a band of one std.

The digit loss is that of both images added. Dashed: what each loss contributes, its weight in that epoch times its
value; the objective is their sum.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from twinbench.figures.style import StudyResults, band, new_figure, save, still_training

SPLITS = {"train": "training pairs", "test": "test pairs"}
COLOURS = {"digits": "#0072B2", "target": "#D55E00"}  # of Okabe and Ito, as SPLIT_COLOURS
NAMES = {"digits": "digit loss", "target": "target loss"}


def draw(results: StudyResults, path: Path) -> None:
    """Draw a row a model with both heads and changing weights, a column a split."""
    weights = results.history.dropna(subset=["digits_loss", "target_loss"])
    changes = weights.groupby("model")[["digits_weight", "target_weight"]].nunique().gt(1).any(axis=1)
    models = [model for model in results.labels if changes.get(model, False)]
    figure = new_figure(8, 2.7 * len(models) + 0.5)
    grid = figure.subplots(len(models), len(SPLITS), sharex="row", sharey="row", squeeze=False)
    for row, model in zip(grid, models, strict=True):
        history = results.history[results.history["model"] == model]
        for panel, (split, pairs) in zip(row, SPLITS.items(), strict=True):
            _draw_parts(panel, history[history["split"] == split])
            panel.set_title(f"{results.labels[model]}, {pairs}")
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        row[0].set_ylabel("cross-entropy, nats")
        row[0].set_ylim(bottom=0)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, path)


def _draw_parts(panel: Axes, rows: pd.DataFrame) -> None:
    total = 0
    for head, name in NAMES.items():
        part = rows[f"{head}_weight"] * rows[f"{head}_loss"]
        total = total + part
        band(panel, still_training(rows, f"{head}_loss"), COLOURS[head], name)
        band(panel, still_training(rows.assign(part=part), "part"), COLOURS[head], f"{name} × weight", "--")
    band(panel, still_training(rows.assign(total=total), "total"), "black", "objective")

"""Losses of the models whose objective changes from epoch to epoch: mean over the rounds, with a band of one std.

The digit loss is the sum over both images. A dashed line is a loss times its weight in that epoch. The objective is the
sum of the dashed lines.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from twinbench.figures.style import SPLIT_COLOURS, SPLITS, StudyResults, curve, epoch_axis, new_figure, save

TABLES = ("history",)
CURVES = ("train", "test")
TASK = "pairs"
NEEDS = "changing objective"
PARTS = {"digits": ("digit loss", SPLIT_COLOURS["train"]), "target": ("target loss", SPLIT_COLOURS["test"])}


def draw(results: StudyResults, path: Path) -> None:
    """Draw a row per model with both heads and changing weights, a column per split."""
    columns = [f"{head}_{value}" for head in PARTS for value in ("loss", "weight")]
    weights = results.history.reindex(columns=["model", *columns]).dropna()
    changes = weights.groupby("model")[["digits_weight", "target_weight"]].nunique().gt(1).any(axis=1)
    models = [model for model in results.models if changes.get(model, False)]
    figure = new_figure(8, 2.7 * max(1, len(models)) + 0.5)
    if not models:  # of a partial report, or in a single epoch
        figure.text(0.5, 0.5, "No model has two losses whose weights changed.", ha="center", va="center")
        save(figure, path)
        return
    grid = figure.subplots(len(models), len(SPLITS), sharex="row", sharey="row", squeeze=False)
    for row, model in zip(grid, models, strict=True):
        history = results.history[results.history["model"] == model]
        for panel, (split, pairs) in zip(row, SPLITS.items(), strict=True):
            _draw_parts(panel, history[history["split"] == split])
            panel.set_title(f"{results.labels[model]}, {pairs}")
            epoch_axis(panel)
        row[0].set_ylabel("cross-entropy, nats")
        row[0].set_ylim(bottom=0)
    save(figure, path, grid[0, 0])


def _draw_parts(panel: Axes, rows: pd.DataFrame) -> None:
    weighted = {head: rows[f"{head}_weight"] * rows[f"{head}_loss"] for head in PARTS}
    rows = rows.assign(**weighted, objective=sum(weighted.values()))
    for head, (name, colour) in PARTS.items():
        curve(panel, rows, f"{head}_loss", colour, name)
        curve(panel, rows, head, colour, f"{name} × weight", "--")
    curve(panel, rows, "objective", "black", "objective")

"""Accuracy and loss after each epoch, a column a model: mean over rounds and folds, with a band of one standard deviation.

A replica that stopped early goes on at the value of its best epoch, whose weights it keeps. Only the validation curve
was used for stopping.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from twinbench.figures.style import SPLIT_COLOURS, StudyResults, mark_floor, new_figure, percent_axis, save

COLUMNS = 4


def draw(results: StudyResults, path: Path) -> None:
    """Draw the curves of every trained model of a study."""
    models = [model for model in results.labels if model in set(results.history["model"])]
    columns = min(COLUMNS, len(models))
    blocks = -(-len(models) // columns)
    figure = new_figure(2.6 * columns + 0.6, 4.2 * blocks)
    grid = figure.subplots(2 * blocks, columns, sharex=True, sharey="row", squeeze=False)
    for panel in grid.flat:
        panel.set_visible(False)
    floor = results.metrics.query("model == 'constant' and split == 'test' and metric == 'accuracy'")["value"].mean()
    for number, model in enumerate(models):
        block, column = divmod(number, columns)
        accuracy, loss = grid[2 * block, column], grid[2 * block + 1, column]
        replicas = results.history[results.history["model"] == model].merge(
            results.cells[["model", "fold", "round", "epochs", "best_epoch"]], on=["model", "fold", "round"]
        )
        for split, rows in replicas.groupby("split", sort=False):
            _band(accuracy, rows, "accuracy", split)
            _band(loss, rows, "loss", split)
        mark_floor(accuracy, floor, vertical=False)
        accuracy.set_title(results.labels[model])
        percent_axis(accuracy.yaxis)
        loss.set_xlabel("epoch")
        loss.set_ylim(bottom=0)
        for panel in (accuracy, loss):
            panel.set_visible(True)
        if column == 0:
            accuracy.set_ylabel("accuracy")
            loss.set_ylabel("loss of the objective")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    save(figure, path)


def _band(axes: Axes, rows: pd.DataFrame, metric: str, split: str) -> None:
    values = carried_on(rows, metric)
    mean, deviation = values.mean(axis=1), values.std(axis=1).fillna(0)
    axes.plot(mean.index, mean, color=SPLIT_COLOURS[split], label=split)
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=SPLIT_COLOURS[split], alpha=0.2, linewidth=0)


def carried_on(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return epochs × replicas of a metric; after its last epoch a replica keeps the value of its best epoch."""
    values = rows.pivot(index="epoch", columns=["fold", "round"], values=metric)
    best = rows[rows["epoch"] == rows["best_epoch"]].set_index(["fold", "round"])[metric]
    return values.fillna(best)

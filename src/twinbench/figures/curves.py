"""Accuracy and loss after each epoch, a column a model: mean over rounds and folds, with a band of one std.

A replica that stops early leaves the mean; a curve ends where fewer than half of the replicas are still training. Only
the validation loss decides when to stop.
"""

from pathlib import Path

from matplotlib.ticker import MaxNLocator

from twinbench.figures.style import (
    SPLIT_COLOURS,
    StudyResults,
    band,
    mark_floor,
    new_figure,
    percent_axis,
    save,
    still_training,
)

COLUMNS = 4


def draw(results: StudyResults, path: Path) -> None:
    """Draw the curves of every trained model of a study."""
    models = [model for model in results.labels if model in set(results.history["model"])]
    columns = min(COLUMNS, len(models))
    blocks = -(-len(models) // columns)
    figure = new_figure(2.6 * columns + 0.6, 4.2 * blocks)
    grid = figure.subplots(2 * blocks, columns, sharex=True, squeeze=False)
    for panel in grid.flat:
        panel.set_visible(False)
    floor = results.metrics.query("model == 'constant' and split == 'test' and metric == 'accuracy'")["value"].mean()
    for number, model in enumerate(models):
        block, column = divmod(number, columns)
        accuracy, loss = grid[2 * block, column], grid[2 * block + 1, column]
        for split, rows in results.history[results.history["model"] == model].groupby("split", sort=False):
            band(accuracy, still_training(rows, "accuracy"), SPLIT_COLOURS[split], split)
            band(loss, still_training(rows, "loss"), SPLIT_COLOURS[split], split)
        mark_floor(accuracy, floor, vertical=False)
        accuracy.set_title(results.labels[model])
        percent_axis(accuracy.yaxis)
        accuracy.set_ylim(bottom=min(0.45, accuracy.get_ylim()[0]), top=1.01)
        loss.set_xlabel("epoch")
        loss.set_ylim(0, 1.05 * loss.get_ylim()[1])
        loss.xaxis.set_major_locator(MaxNLocator(integer=True))
        for panel in (accuracy, loss):
            panel.set_visible(True)
        if not column:
            accuracy.set_ylabel("accuracy")
            loss.set_ylabel("loss of the objective")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    save(figure, path)

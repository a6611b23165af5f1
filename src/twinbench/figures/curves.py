"""Accuracy and loss after each epoch, a column per model: mean over the rounds, with a band of one standard deviation.

With cross-validation, the curves are those of one fold per round, or of all folds, as the study's `protocol.curves`
says. When a replica stops early, the mean goes on without it. A curve ends where fewer than half of the replicas are
still training. Only the validation loss decides when to stop.
"""

from pathlib import Path
from textwrap import fill

from twinbench.figures.style import SPLIT_COLOURS, StudyResults, curve, epoch_axis, mark_floor, new_figure, save

TABLES = ("metrics", "history")
CURVES = ("train", "test")
COLUMNS = 4


def draw(results: StudyResults, path: Path) -> None:
    """Draw the curves of every trained model of a study."""
    # Stopping evaluates the validation pairs of every fold: draw the folds that have all curves.
    whole = results.history.loc[results.history["split"] == "train", ["model", "fold", "round"]].drop_duplicates()
    history = results.history.merge(whole)
    models = [model for model in results.models if model in set(history["model"])]
    columns = min(COLUMNS, len(models))
    blocks = -(-len(models) // columns)
    figure = new_figure(2.6 * columns + 0.6, 4.2 * blocks)
    grid = figure.subplots(2 * blocks, columns, sharex=True, squeeze=False)
    for panel in grid.flat:
        panel.set_visible(False)
    tested = results.metrics.query("split == 'test' and metric == 'accuracy'")
    for number, model in enumerate(models):
        block, column = divmod(number, columns)
        accuracy, loss = grid[2 * block, column], grid[2 * block + 1, column]
        for split, rows in history[history["model"] == model].groupby("split", sort=False):
            for panel, metric in ((accuracy, "accuracy"), (loss, "loss")):
                panel.set_visible(True)
                curve(panel, rows, metric, SPLIT_COLOURS[split], split)
        mark_floor(accuracy, tested, vertical=False)
        accuracy.set_title(fill(results.labels[model], 30))
        accuracy.set_ylim(bottom=min(0.45, accuracy.get_ylim()[0]), top=1.01)
        loss.set_ylim(0, 1.05 * loss.get_ylim()[1])
        epoch_axis(loss)
        if not column:
            accuracy.set_ylabel("accuracy")
            loss.set_ylabel("loss of the objective")
    save(figure, path, grid[0, 0], columns=4)

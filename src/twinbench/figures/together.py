"""Loss and accuracy after each epoch, all models together: mean over rounds and folds, with a band of one std.

The loss is that of the target head, which all objectives share; a model without that head has no loss here. A replica
that stops early leaves the mean; a curve ends where fewer than half of the replicas are still training.
"""

from pathlib import Path

from twinbench.figures.style import SPLITS, StudyResults, curve, epoch_axis, new_figure, percent_axis, save

TABLES = ("history",)
TASK = "pairs"
METRICS = {"target_loss": "loss of the target head", "accuracy": "accuracy"}


def draw(results: StudyResults, path: Path) -> None:
    """Draw a panel per split and metric, a curve per model."""
    figure = new_figure(8, 6)
    grid = figure.subplots(len(METRICS), len(SPLITS), sharex=True, sharey="row")
    for row, (metric, quantity) in zip(grid, METRICS.items(), strict=True):
        for panel, (split, pairs) in zip(row, SPLITS.items(), strict=True):
            history = results.history[results.history["split"] == split].dropna(subset=metric)
            for model, colour in results.colours.items():
                if len(rows := history[history["model"] == model]):
                    curve(panel, rows, metric, colour, results.labels[model])
            panel.set_title(f"{quantity}, {pairs}")
    grid[0, 0].set_ylim(bottom=0)
    percent_axis(grid[1, 0].yaxis)
    for panel in grid[-1]:
        epoch_axis(panel)
    save(figure, path, grid[1, 0])  # accuracy: every model has one

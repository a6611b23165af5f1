"""Loss and accuracy after each epoch, all models together: mean over the rounds, with a band of one std.

The loss is that of the target head, which all objectives share. A model without that head has no loss here. When a
replica stops early, the mean goes on without it. A curve ends where fewer than half of the replicas are still training.
"""

from pathlib import Path

from twinbench.figures.style import (
    SPLITS,
    StudyResults,
    curve,
    epoch_axis,
    legend_columns,
    new_figure,
    percent_axis,
    save,
)

TABLES = ("history",)
CURVES = ("train", "test")
TASK = "pairs"
METRICS = {"target_loss": "loss of the target head", "accuracy": "accuracy"}


def draw(results: StudyResults, path: Path) -> None:
    """Draw a panel per split and metric, a curve per model."""
    labels = [results.labels[model] for model in results.models]
    figure = new_figure(8, 5.4 + 0.2 * -(-len(labels) // legend_columns(labels)))
    grid = figure.subplots(len(METRICS), len(SPLITS), sharex=True, sharey="row")
    for row, (metric, quantity) in zip(grid, METRICS.items(), strict=True):
        for panel, (split, pairs) in zip(row, SPLITS.items(), strict=True):
            history = results.history[results.history["split"] == split].dropna(subset=metric)
            for model, look in results.looks.items():
                if len(rows := history[history["model"] == model]):
                    curve(panel, rows, metric, look.colour, results.labels[model], look.line)
            panel.set_title(f"{quantity}, {pairs}")
    grid[0, 0].set_ylim(bottom=0)
    percent_axis(grid[1, 0].yaxis)
    for panel in grid[-1]:
        epoch_axis(panel)
    save(figure, path, grid[1, 0])  # accuracy: every model has one

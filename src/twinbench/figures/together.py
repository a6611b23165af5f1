"""Loss and accuracy after each epoch, all models together: mean over rounds and folds, with a band of one std.

The loss is that of the target head, which all objectives share; a model without that head has no loss here. A replica
that stops early leaves the mean; a curve ends where fewer than half of the replicas are still training.
"""

from pathlib import Path

from matplotlib.ticker import MaxNLocator

from twinbench.figures.style import (
    StudyResults,
    band,
    legend_columns,
    model_colours,
    new_figure,
    percent_axis,
    save,
    still_training,
)

SPLITS = {"train": "training pairs", "test": "test pairs"}
METRICS = {"target_loss": "loss of the target head", "accuracy": "accuracy"}


def draw(results: StudyResults, path: Path) -> None:
    """Draw a panel a split and metric, a curve a model."""
    figure = new_figure(8, 6)
    grid = figure.subplots(len(METRICS), len(SPLITS), sharex=True, sharey="row")
    colours = model_colours(results)
    for row, (metric, quantity) in zip(grid, METRICS.items(), strict=True):
        for panel, (split, pairs) in zip(row, SPLITS.items(), strict=True):
            history = results.history[results.history["split"] == split].dropna(subset=metric)
            for model in colours:
                of_model = history[history["model"] == model]
                if len(of_model):
                    band(panel, still_training(of_model, metric), colours[model], results.labels[model])
            panel.set_title(f"{quantity}, {pairs}")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if metric == "target_loss":
            row[0].set_ylim(bottom=0)
        else:
            percent_axis(row[0].yaxis)
    for panel in grid[-1]:
        panel.set_xlabel("epoch")
    handles, labels = grid[1, 0].get_legend_handles_labels()  # accuracy: every model has one
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels))
    save(figure, path)

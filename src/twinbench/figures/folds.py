"""Mean validation accuracy over the cross-validation folds; the error bar is the standard deviation over the folds.

With several rounds, the mean is over all of them and the deviation is the root mean square of the rounds' own. Dots are
single folds.
"""

from pathlib import Path

import numpy as np

from twinbench.figures.style import OURS, StudyResults, mark_floor, new_figure, percent_axis, save


def draw(results: StudyResults, path: Path) -> None:
    """Draw a bar a model, the constant baseline as a line."""
    metrics = results.metrics.query("split == 'validation' and metric == 'accuracy'")
    models = [model for model in results.labels if model != "constant"]
    figure = new_figure(7, 0.42 * len(models) + 1.2)
    axes = figure.subplots()
    for position, model in enumerate(models):
        values = metrics[metrics["model"] == model]
        deviation = np.sqrt(values.groupby("round")["value"].var(ddof=1).mean())
        axes.barh(position, values["value"].mean(), xerr=deviation, color=OURS, alpha=0.75, capsize=3)
        axes.plot(values["value"], np.full(len(values), position), ".", color="black", alpha=0.25, markersize=3)
    mark_floor(axes, metrics.loc[metrics["model"] == "constant", "value"].mean())
    axes.set_yticks(range(len(models)), [results.labels[model] for model in models])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1)
    percent_axis(axes.xaxis)
    axes.set_xlabel("validation accuracy")
    figure.legend(loc="outside lower right")
    save(figure, path)

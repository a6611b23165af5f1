"""Mean validation accuracy over the cross-validation folds; the error bar is the standard deviation over the folds.

With several rounds, the mean is over all of them, and the deviation is the root mean square of the rounds' deviations.
Dots are single folds. The bars of models as run are hatched.
"""

from pathlib import Path

import numpy as np

from twinbench.figures.style import OURS, StudyResults, model_rows, new_figure, save

TABLES = ("metrics",)
NEEDS = "folds"


def draw(results: StudyResults, path: Path) -> None:
    """Draw a bar per model, the constant baseline as a line."""
    metrics = results.metrics.query("split == 'validation' and metric == 'accuracy'")
    models = results.models
    figure = new_figure(7, 0.42 * len(models) + 1.2)
    axes = figure.subplots()
    for position, (model, look) in enumerate(results.looks.items()):
        values = metrics[metrics["model"] == model]
        deviation = np.sqrt(values.groupby("round")["value"].var(ddof=1).mean())
        axes.barh(position, values["value"].mean(), xerr=deviation, color=OURS, alpha=0.75, capsize=3,
                  hatch="///" if look.as_run else None, edgecolor="white")  # fmt: skip
        axes.plot(values["value"], np.full(len(values), position), ".", color="black", alpha=0.25, markersize=3)
    model_rows(axes, [results.labels[model] for model in models], metrics)
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 1), xlabel="validation accuracy")
    save(figure, path, axes)

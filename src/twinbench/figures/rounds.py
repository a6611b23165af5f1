"""Test accuracy over the rounds: box from quartile to quartile with the median, whiskers to 1.5 box widths.

Dots are the rounds. A model with fewer than five rounds has no box. The boxes of models as run are dashed. With
cross-validation, each round counts with the fold that the protocol reports. Diamonds are the published values.
"""

from pathlib import Path

import numpy as np

from twinbench.evaluation.statistics import reported
from twinbench.figures.style import OURS, PUBLISHED, StudyResults, model_rows, new_figure, published_marks, save

TABLES = ("metrics",)
FEWEST_FOR_A_BOX = 5  # quartiles of fewer rounds would show a spread that nobody measured


def draw(results: StudyResults, path: Path) -> None:
    """Draw a box per model, the constant baseline as a line."""
    accuracy = reported(results.metrics).query("split == 'test' and metric == 'accuracy'")
    models = results.models
    figure = new_figure(7, 0.42 * len(models) + 1.2)
    axes = figure.subplots()
    spread = np.random.default_rng(0)  # vertical jitter, so that equal accuracies do not hide each other
    for position, (model, look) in enumerate(results.looks.items()):
        line = {"color": OURS, "linestyle": "--" if look.as_run else "-"}
        values = accuracy.loc[accuracy["model"] == model, "value"]
        if len(values) >= FEWEST_FOR_A_BOX:
            axes.boxplot(
                values, orientation="horizontal", positions=[position], widths=0.55, showfliers=False,
                manage_ticks=False, medianprops=line | {"linewidth": 1.8}, boxprops=line, whiskerprops=line,
                capprops=line,
            )  # fmt: skip
        heights, label = position + spread.uniform(-0.16, 0.16, len(values)), None if position else "a round"
        axes.plot(values, heights, ".", color="black", alpha=0.45, markersize=4, label=label)
    published = published_marks(results.published, models, results.as_run)
    axes.plot(published, range(len(models)), "D", color=PUBLISHED, markerfacecolor="none",
              label="published" if results.published else None)  # fmt: skip
    model_rows(axes, [results.labels[model] for model in models], accuracy)
    axes.set_xlabel("test accuracy")
    save(figure, path, axes)

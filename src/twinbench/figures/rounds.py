"""Test accuracy over the rounds: box from quartile to quartile with the median, whiskers to 1.5 box widths.

Dots are the rounds; fewer than five of them have no box. With cross-validation, each round counts with the fold that
has the best validation accuracy. Diamonds are the published values.
"""

from pathlib import Path

import numpy as np

from twinbench.evaluation.statistics import reported
from twinbench.figures.style import OURS, PUBLISHED, StudyResults, mark_floor, new_figure, percent_axis, save

FEWEST_FOR_A_BOX = 5  # quartiles of fewer rounds would show a spread that nobody measured


def draw(results: StudyResults, path: Path) -> None:
    """Draw a box a model, the constant baseline as a line."""
    accuracy = reported_test_accuracy(results)
    models = [model for model in results.labels if model != "constant"]
    figure = new_figure(7, 0.42 * len(models) + 1.2)
    axes = figure.subplots()
    values = [accuracy[accuracy["model"] == model]["value"].to_numpy() for model in models]
    spread = np.random.default_rng(0)  # vertical jitter, so that equal accuracies do not hide each other
    for position, of_model in enumerate(values):
        if len(of_model) >= FEWEST_FOR_A_BOX:
            axes.boxplot(
                of_model, orientation="horizontal", positions=[position], widths=0.55, showfliers=False,
                manage_ticks=False, medianprops={"color": OURS, "linewidth": 1.8}, boxprops={"color": OURS},
                whiskerprops={"color": OURS}, capprops={"color": OURS},
            )  # fmt: skip
        heights = position + spread.uniform(-0.16, 0.16, len(of_model))
        axes.plot(
            of_model, heights, ".", color="black", alpha=0.45, markersize=4, label="a round" if not position else None
        )
    published = [
        (results.published[model], position) for position, model in enumerate(models) if model in results.published
    ]
    if published:
        axes.plot(*zip(*published, strict=True), "D", color=PUBLISHED, markerfacecolor="none", label="published")
    mark_floor(axes, accuracy.loc[accuracy["model"] == "constant", "value"].mean())
    axes.set_yticks(range(len(models)), [results.labels[model] for model in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    percent_axis(axes.xaxis)
    axes.set_xlabel("test accuracy")
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, path)


def reported_test_accuracy(results: StudyResults):
    """Return model, round and value of the test accuracy that the protocol reports."""
    return reported(results.metrics).query("split == 'test' and metric == 'accuracy'")

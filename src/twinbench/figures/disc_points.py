"""Test points of the first round by label, and the trained ReLU net's boundary, where its output is 0.

The net learned from that round's training points. The dashed line is the true circle, thin grey lines are the other
rounds' nets. Crosses are the points that the net gets wrong.
"""

from pathlib import Path

import numpy as np

from twinbench.figures.disc_results import DiscResults
from twinbench.figures.style import FLOOR, OURS, PUBLISHED, new_figure, save
from twinbench.scratch.disc import CENTRE, GRID, RADIUS

TRUTH = "#009E73"


def draw_disc(results: DiscResults, path: Path) -> None:
    """Draw points, learned boundaries and the true circle."""
    predictions = results.predictions[results.predictions["model"] == results.main]
    figure = new_figure(6.6, 4.3)
    axes = figure.subplots()
    first = results.points["round"].min()
    test = results.points.query("round == @first and split == 'test'")
    for label, colour, name in ((1, OURS, "inside (label 1)"), (0, PUBLISHED, "outside (label 0)")):
        of_label = test[test["label"] == label]
        axes.plot(of_label["x"], of_label["y"], ".", color=colour, markersize=4, alpha=0.6, label=name)
    answers = test.merge(predictions.query("round == @first and split == 'test'"), on="point", suffixes=("", "_net"))
    wrong = answers[(answers["output"] > 0) != (answers["label"] == 1)]
    axes.plot(wrong["x"], wrong["y"], "x", color="black", markersize=6, label="wrong")
    side = np.linspace(0, 1, GRID)
    for round_, rows in reversed(list(predictions[predictions["split"] == "grid"].groupby("round"))):
        output = rows.sort_values("point")["output"].to_numpy().reshape(GRID, GRID)
        look = ("black", 1.6) if round_ == first else (FLOOR, 0.5)
        axes.contour(side, side, output, levels=[0], colors=look[0], linewidths=look[1])
    axes.plot([], [], color="black", linewidth=1.6, label="learned boundary")
    axes.plot([], [], color=FLOOR, linewidth=0.5, label="other rounds")
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = {"color": TRUTH, "linestyle": "--", "linewidth": 1.6, "label": "true circle"}
    axes.plot(CENTRE + RADIUS * np.cos(angle), CENTRE + RADIUS * np.sin(angle), **circle)
    axes.set_aspect("equal")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.grid(visible=False)
    figure.legend(loc="outside right center")
    save(figure, path)

"""Test points of the first round (and fold) by label, and the boundary of the study's first model, where it outputs 0.

The model learned from the training points of that round. Crosses are the points that it gets wrong. The dashed line is
the true circle. Thin grey lines are the boundaries of the other rounds.
"""

from pathlib import Path

import numpy as np

from twinbench.figures.style import FLOOR, OURS, PUBLISHED, StudyResults, new_figure, save
from twinbench.tasks.disc import CENTRE, GRID, RADIUS

TABLES = ("predictions",)
TASK = "disc"
TRUTH = "#009E73"


def draw(results: StudyResults, path: Path) -> None:
    """Draw points, learned boundaries and the true circle."""
    of_model = results.predictions[results.predictions["model"] == results.models[0]]
    predictions = of_model[of_model["fold"] == of_model["fold"].min()]
    figure = new_figure(6.6, 4.3)
    axes = figure.subplots()
    first = predictions["round"].min()
    test = predictions.query("round == @first and split == 'test'")
    for target, colour, name in ((1, OURS, "inside"), (0, PUBLISHED, "outside")):
        of_label = test[test["target"] == target]
        axes.plot(of_label["x"], of_label["y"], ".", color=colour, markersize=4, alpha=0.6, label=name)
    wrong = test[(test["target_logit"] > 0) != (test["target"] == 1)]
    axes.plot(wrong["x"], wrong["y"], "x", color="black", markersize=6, label="wrong")
    side = np.linspace(0, 1, GRID)
    for round_, rows in reversed(list(predictions[predictions["split"] == "grid"].groupby("round"))):
        output = rows.sort_values("point")["target_logit"].to_numpy().reshape(GRID, GRID)
        look = ("black", 1.6) if round_ == first else (FLOOR, 0.5)
        axes.contour(side, side, output, levels=[0], colors=look[0], linewidths=look[1])
    axes.plot([], [], color="black", linewidth=1.6, label="learned boundary")
    axes.plot([], [], color=FLOOR, linewidth=0.5, label="other rounds")
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = {"color": TRUTH, "linestyle": "--", "linewidth": 1.6, "label": "true circle"}
    axes.plot(CENTRE + RADIUS * np.cos(angle), CENTRE + RADIUS * np.sin(angle), **circle)
    axes.set(aspect="equal", xlim=(0, 1), ylim=(0, 1), xlabel="x", ylabel="y")
    axes.grid(visible=False)
    figure.legend(loc="outside right center")
    save(figure, path)

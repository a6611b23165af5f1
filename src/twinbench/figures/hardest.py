"""The test pairs that most models get wrong: images, true digits, and a mark per model, filled if it answered wrongly.

Above the images stands the truth, left ≤ right or left > right. Below the mark of a model that was trained on digits
stand the two digits that it names, the left one first. If several pairs are wrong in equally many models, those whose
wrong answers are surer come first. A pair that several rounds share is shown once. Each round counts with the fold that
the protocol reports. Rounds in which fewer models have answers are left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from twinbench.figures.style import Look, StudyResults, legend_columns, new_figure, save

TABLES = ("hardest",)
TASK = "pairs"
COLUMNS = 4
BLACK = Look("black", "-", "s")
SIDE, GAP = 14, 1  # of an image, and between the two, in pixels
MARKS, NAMED, BOTTOM = 16.6, 18.6, 21.5  # heights in the same pixels, downwards
SIDE_BY_SIDE = 2.2  # pixels between marks that leave room for two digits beside each other


def draw(results: StudyResults, path: Path) -> None:
    """Draw a panel per pair, the hardest first."""
    pairs = [rows for _, rows in results.hardest.groupby("rank")]
    looks = results.looks
    rows_of_panels = max(1, -(-len(pairs) // COLUMNS))
    in_legend = legend_columns(results.labels.values())
    figure = new_figure(2.15 * COLUMNS, 1.85 * rows_of_panels + 0.25 * -(-len(results.labels) // in_legend) + 0.2)
    panels = figure.subplots(rows_of_panels, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, rows in zip(panels, pairs, strict=False):
        _draw_pair(panel, rows, looks)
    if not pairs:
        figure.text(0.5, 0.5, "No pair was answered wrongly.", ha="center")
    answered = [model for model in results.labels if model in set(results.hardest["model"])]
    marks = [_mark(looks[model], filled=True, label=results.labels[model]) for model in answered]
    marks += [_mark(BLACK, filled=True, label="wrong"), _mark(BLACK, filled=False, label="right")]
    figure.legend(handles=marks, loc="outside lower center", ncols=in_legend, handletextpad=0.2)
    save(figure, path)


def _draw_pair(panel: Axes, rows: pd.DataFrame, looks: dict[str, Look]) -> None:
    pair = rows.iloc[0]
    for number, side in enumerate(("left", "right")):
        start = number * (SIDE + GAP)
        image = np.reshape(pair[f"{side}_image"], (SIDE, SIDE))
        panel.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=(start, start + SIDE, SIDE, 0))
        panel.plot(
            np.array([0, 1, 1, 0, 0]) * SIDE + start, np.array([0, 0, 1, 1, 0]) * SIDE, color="0.7", linewidth=0.6
        )
    width = 2 * SIDE + GAP
    step = min(3.2, width / len(rows))
    between = " " if step > SIDE_BY_SIDE else "\n"
    for number, row in enumerate(rows.itertuples()):
        place = width / 2 + (number - (len(rows) - 1) / 2) * step
        filled = row.answer != row.target
        panel.add_line(_mark(looks[row.model], filled=filled, place=(place, MARKS)))
        if row.left_predicted >= 0:
            named = f"{row.left_predicted}{between}{row.right_predicted}"
            panel.text(place, NAMED, named, ha="center", va="top", fontsize=6, linespacing=1)
    panel.set(xlim=(-0.3, width + 0.3), ylim=(BOTTOM, -0.3))
    sign = "≤" if pair["target"] else ">"
    wrong = round(pair["wrong"] * len(rows))
    panel.set_title(f"{pair['left_digit']} {sign} {pair['right_digit']}: {wrong} of {len(rows)} wrong")


def _mark(look: Look, *, filled: bool, label: str = "", place: tuple[float, float] = (0, 0)) -> Line2D:
    return Line2D(
        [place[0]], [place[1]], marker=look.mark, markersize=6, linestyle="", color=look.colour, label=label,
        markerfacecolor=look.colour if filled else "none",
    )  # fmt: skip

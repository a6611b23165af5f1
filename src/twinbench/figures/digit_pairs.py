"""Share of test pairs that a model gets wrong, by left and right digit, over all rounds; hatched where no pair occurs.

With cross-validation, each round counts with the fold that the protocol reports. Inside the outline, the two digits are
equal or one apart. A model's title gives the share of its errors, and the share of its pairs, that lie there. The two
shares are equal if the errors have nothing to do with the values of the digits. The last panel gives the number of
pairs behind the shares, for the model with most rounds.
"""

from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from twinbench.evaluation.errors import along_diagonal
from twinbench.figures.style import FLOOR, StudyResults, new_figure, save

TABLES = ("errors",)
TASK = "pairs"


def draw(results: StudyResults, path: Path) -> None:
    """Draw a heat map per trained model, and the counts."""
    models = results.models
    table = results.errors.set_index(["model", "left_digit", "right_digit"])
    rates = table["errors"] / table["pairs"]  # NaN of a combination without pairs: it is left out of the map
    columns = 3 if len(models) < 6 else 4
    rows = -(-(len(models) + 1) // columns)
    figure = new_figure(2.3 * columns + 0.7, 2.65 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = grid.ravel()
    shares = along_diagonal(results.errors)
    for model, panel in zip(models, panels, strict=False):
        image = panel.imshow(rates[model].unstack(), cmap="magma_r", vmin=0, vmax=max(0.01, rates.max()))
        panel.patch.set(facecolor="#EEEEEE", edgecolor=FLOOR, hatch="/////", linewidth=0)
        _frame(panel, f"{fill(results.labels[model], 34)}\n{_share_text(shares.loc[model])}")
    for panel in panels[len(models) + 1 :]:
        panel.set_visible(False)
    most = table["pairs"].groupby("model").sum().idxmax()
    _count(panels[len(models)], table["pairs"][most].unstack().to_numpy())
    for panel in grid[:, 0]:
        panel.set_ylabel("left digit", fontsize=8)
    bar = figure.colorbar(image, ax=panels, shrink=0.8, aspect=35, format=PercentFormatter(1.0, 0))
    bar.set_label("pairs answered wrongly")
    save(figure, path)


def _share_text(shares: pd.Series) -> str:
    if not shares["errors"]:
        return "no errors"
    of_errors, of_pairs = (shares[f"{name}_there"] / shares[name] for name in ("errors", "pairs"))
    return f"{of_errors:.0%} of errors, {of_pairs:.0%} of pairs"


def _count(panel: Axes, pairs: np.ndarray) -> None:
    panel.imshow(np.zeros_like(pairs), cmap="Greys")
    for (left, right), count in np.ndenumerate(pairs):
        panel.text(right, left, str(count), ha="center", va="center", fontsize=5.5)
    _frame(panel, "test pairs")


def _frame(panel: Axes, title: str) -> None:
    """Label the digits, and draw the border of the diagonal and what is next to it."""
    edges = np.arange(11) - 0.5
    for side in (1.5, -1.5):
        panel.stairs(np.arange(10) + side, edges, baseline=None, color="black", linewidth=0.6)
    panel.set(xlim=(-0.5, 9.5), ylim=(9.5, -0.5), xticks=range(10), yticks=range(10))
    panel.set_title(title, fontsize=8)
    panel.tick_params(length=0, labelsize=7)
    panel.set_xlabel("right digit", fontsize=8)
    panel.grid(visible=False)

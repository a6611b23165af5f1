"""What the figures of the from-scratch study share: their tables, and the axis of errors."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from twinbench.figures.style import percent_axis

ERRORS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]


@dataclass(frozen=True)
class DiscResults:
    """What a figure of the from-scratch study may draw from."""

    metrics: pd.DataFrame  # study, model, fold, round, split, metric, value
    history: pd.DataFrame  # study, model, fold, round, epoch, split, loss, accuracy, seconds
    points: pd.DataFrame  # round, split, point, x, y, label
    predictions: pd.DataFrame  # model, round, split, point, label, output
    labels: dict[str, str]  # net → label
    main: str  # the net whose boundary and curves are drawn
    named: list[str]  # the nets of the study file, without the sweep
    widths: dict[str, int]  # net → hidden width, for the nets of the sweep
    published: dict[str, float]  # net → published test error

    def values(self, net: str, split: str, metric: str) -> pd.DataFrame:
        """Return epochs × rounds of ``loss`` or ``error`` of a net, without the rounds that diverged."""
        rows = self.history[(self.history["model"] == net) & (self.history["split"] == split)]
        rows = rows.assign(error=1 - rows["accuracy"])
        return rows.pivot(index="epoch", columns="round", values=metric).dropna(axis="columns")


def error_axis(axes: Axes) -> None:
    """Scale the vertical axis by the logarithm of the error, so that 2 % and 3 % can be told apart."""
    axes.set_yscale("log")
    axes.set_ylim(0.007, 0.6)
    axes.set_yticks(ERRORS)
    percent_axis(axes.yaxis)
    axes.yaxis.set_minor_formatter(NullFormatter())

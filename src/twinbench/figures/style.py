"""What all figures share: colours, sizes, axes and how they are saved."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Okabe and Ito's palette, which stays apart for colour-blind readers (jfly.uni-koeln.de/color, 2008).
SPLIT_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00"}
OURS, PUBLISHED, FLOOR = "#0072B2", "#D55E00", "#777777"

mpl.rcParams.update(
    {
        "figure.dpi": 110,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "axes.titlesize": 9,
    }
)


@dataclass(frozen=True)
class StudyResults:
    """What a figure of a study may draw from."""

    metrics: pd.DataFrame  # study, model, fold, round, split, metric, value
    history: pd.DataFrame  # study, model, fold, round, epoch, split, losses, accuracies, seconds
    labels: dict[str, str]  # model → label, in the study's order; the constant baseline last
    published: dict[str, float]  # model → published test accuracy, where there is one


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of that size in inches whose layout makes room for labels."""
    return Figure(figsize=(width, height), layout="constrained")


def percent_axis(axis: mpl.axis.Axis) -> None:
    """Label an axis of fractions in per cent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def mark_floor(axes: Axes, accuracy: float, vertical: bool = True) -> None:
    """Draw the accuracy of the constant baseline, the floor of any comparison, as a dashed line."""
    line = axes.axvline if vertical else axes.axhline
    line(accuracy, color=FLOOR, linestyle="--", linewidth=1, label="majority class")


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, without the metadata that changes from one matplotlib to the next."""
    figure.savefig(path, format="png", metadata={"Software": None})

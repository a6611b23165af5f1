"""What all figures share: colours, sizes, axes and how they are saved."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Okabe and Ito's palette, which stays apart for colour-blind readers (jfly.uni-koeln.de/color, 2008).
SPLIT_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00"}
# Tol's muted palette, likewise (sronpersonalpages.nl/~pault, 2021): a colour a model, for nine of them.
MODEL_COLOURS = ["#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499"]
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
    errors: pd.DataFrame  # study, model, left_digit, right_digit, pairs, errors, of the test pairs
    hardest: pd.DataFrame  # a row a (pair, model): see evaluation.errors.hardest_pairs
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


def model_colours(results: StudyResults) -> dict[str, str]:
    """Return the colour of every trained model, in the study's order; a tenth has the first one's again."""
    models = [model for model in results.labels if model != "constant"]
    return dict(zip(models, cycle(MODEL_COLOURS), strict=False))


def legend_columns(labels: Iterable[str]) -> int:
    """Return how many columns of these labels fit below a figure that is 8 inches wide; at most three."""
    return max(1, min(3, 100 // (max(map(len, labels)) + 8)))  # about 100 characters, 8 for each mark and its space


def still_training(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return epochs × replicas of a metric, up to the last epoch that at least half of the replicas reached."""
    values = rows.pivot(index="epoch", columns=["fold", "round"], values=metric)
    return values[values.notna().mean(axis=1) >= 0.5]


def band(axes: Axes, values: pd.DataFrame, colour: str, label: str, style: str = "-") -> None:
    """Draw the mean of the columns over the index, with a band of one standard deviation cut off at 0."""
    mean, deviation = values.mean(axis=1), values.std(axis=1).fillna(0)
    axes.plot(mean.index, mean, style, color=colour, label=label)
    axes.fill_between(
        mean.index, (mean - deviation).clip(lower=0), mean + deviation, color=colour, alpha=0.2, linewidth=0
    )


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, without the metadata that changes from one matplotlib to the next."""
    figure.savefig(path, format="png", metadata={"Software": None})

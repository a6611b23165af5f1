"""Colours, sizes, axes and saving, the same for all figures."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from twinbench.spec.fields import CONSTANT

# Okabe and Ito's palette, which stays apart for colour-blind readers (jfly.uni-koeln.de/color, 2008).
SPLIT_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00"}
# Tol's muted palette, which does so too (sronpersonalpages.nl/~pault, 2021): a colour for each of nine models.
MODEL_COLOURS = ["#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499"]
# Line and mark of the first nine models, of the next nine, which have the same colours again, and so on; in each, of a
# model as described and as run.
LINES, MARKS = (("-", "--"), ("-.", ":")), (("s", "D"), ("o", "P"))
OURS, PUBLISHED, FLOOR = "#0072B2", "#D55E00", "#777777"
DIVERGED = "#CC3311"  # settings of a sweep
SPLITS = {"train": "training pairs", "test": "test pairs"}  # of the figures with a column of panels per split

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
class Look:
    """How a model is told from others; a model as run has the colour of the model as described."""

    colour: str
    line: str
    mark: str
    as_run: bool = False


def looks(models: Iterable[str], as_run: dict[str, str]) -> dict[str, Look]:
    """Return the look of every model; ``as_run`` names, for each model as run, the model as described."""
    found: dict[str, Look] = {}
    own = [model for model in models if as_run.get(model) not in models]
    for number, model in enumerate(own):
        family, place = divmod(number, len(MODEL_COLOURS))
        for name in (model, *(run for run, described in as_run.items() if described == model)):
            run, family = name in as_run, family % len(LINES)
            found[name] = Look(MODEL_COLOURS[place], LINES[family][run], MARKS[family][run], run)
    return {model: found[model] for model in models}


def published_marks(published: dict[str, float], models: Iterable[str], as_run: dict[str, str]) -> pd.Series:
    """Return the published value of each model, NaN where there is none; one as run has the described one's."""
    return pd.Series({model: published.get(as_run.get(model, model), np.nan) for model in models}, dtype=float)


@dataclass(frozen=True)
class StudyResults:
    """Data for a figure: those of the study (`spec.study.Study.shown`), and the tables that the figure names."""

    labels: dict[str, str]  # model → label, in the study's order; the constant baseline last
    published: dict[str, float]  # model → published test accuracy, where there is one
    swept: dict[str, Any] | None  # of a sweep, its axes and settings (`spec.study.Swept`)
    as_run: dict[str, str] = field(default_factory=dict)  # model as run → model as described
    metrics: pd.DataFrame | None = None  # study, model, fold, round, split, metric, value
    cells: pd.DataFrame | None = None  # a row per training
    history: pd.DataFrame | None = None  # study, model, fold, round, epoch, split, losses, accuracies, seconds
    errors: pd.DataFrame | None = None  # study, model, left_digit, right_digit, pairs, errors, of the test pairs
    hardest: pd.DataFrame | None = None  # a row per (pair, model): see evaluation.errors.hardest_pairs
    predictions: pd.DataFrame | None = None  # a row per example, model, round and fold

    @property
    def models(self) -> list[str]:
        """The trained models, in the study's order."""
        return [model for model in self.labels if model != CONSTANT]

    @property
    def looks(self) -> dict[str, Look]:
        """The look of every trained model, in the study's order."""
        return looks(self.models, self.as_run)


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of that size in inches whose layout makes room for labels."""
    return Figure(figsize=(width, height), layout="constrained")


def percent_axis(axis: mpl.axis.Axis) -> None:
    """Label an axis of fractions in per cent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def epoch_axis(axes: Axes) -> None:
    """Label the horizontal axis of epochs, which are whole numbers."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def mark_floor(axes: Axes, accuracy: pd.DataFrame, vertical: bool = True) -> None:
    """Draw the accuracy of the constant baseline, the floor of any comparison, as a dashed line; label the axis.

    ``accuracy`` has rows of metrics.parquet, those of one split and study.
    """
    line = axes.axvline if vertical else axes.axhline
    floor = accuracy.loc[accuracy["model"] == CONSTANT, "value"].mean()
    line(floor, color=FLOOR, linestyle="--", linewidth=1, label="majority class")
    percent_axis(axes.xaxis if vertical else axes.yaxis)


def model_rows(axes: Axes, labels: list[str], accuracy: pd.DataFrame) -> None:
    """Give every model a row, the first on top, and mark the floor (`mark_floor`)."""
    axes.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    mark_floor(axes, accuracy)


def legend_columns(labels: Iterable[str]) -> int:
    """Return how many columns of these labels fit below a figure that is 8 inches wide; at most three."""
    return max(1, min(3, 100 // (max(map(len, labels)) + 8)))  # about 100 characters, 8 for each mark and its space


def curve(axes: Axes, rows: pd.DataFrame, metric: str, colour: str, label: str, style: str = "-") -> None:
    """Draw a metric's `band` over the epochs, up to the last one that at least half of the replicas reached."""
    values = rows.pivot(index="epoch", columns=["fold", "round"], values=metric)
    band(axes, values[values.notna().mean(axis=1) >= 0.5], colour, label, style)


def band(axes: Axes, values: pd.DataFrame, colour: str, label: str, style: str = "-") -> None:
    """Draw the mean of the columns over the index, with a band of one standard deviation cut off at 0."""
    mean, deviation = values.mean(axis=1), values.std(axis=1).fillna(0)
    low, high = (mean - deviation).clip(lower=0), mean + deviation
    axes.plot(mean.index, mean, style, color=colour, label=label)
    axes.fill_between(mean.index, low, high, color=colour, alpha=0.2, linewidth=0)


def save(figure: Figure, path: Path, legend_of: Axes | None = None, columns: int | None = None) -> None:
    """Write the figure as PNG, without the metadata that changes from one matplotlib to the next.

    The legend of one panel, if any, stands below, in ``columns`` columns; None for as many as fit.
    """
    if legend_of:
        handles, labels = legend_of.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=columns or legend_columns(labels))
    figure.savefig(path, format="png", metadata={"Software": None})

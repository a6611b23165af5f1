"""What the figures of sweeps share: their data, their scales, and how a diverged point looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd

from twinbench.config.fields import RATES
from twinbench.evaluation.sweeps import Setting, best_setting, settings
from twinbench.figures.style import percent_axis

DIVERGED, BEST = "#CC3311", "black"


@dataclass(frozen=True)
class SweepResults:
    """What a figure of a sweep may draw from."""

    table: pd.DataFrame  # the rows of one sweep (`evaluation.sweeps.sweep_table`)
    swept: dict  # `planning.Plan.sweep`

    @property
    def found(self) -> dict[str, Setting]:
        """Every point over its rounds."""
        return settings(self.table)

    @property
    def best(self) -> Setting | None:
        """The best setting by the validation pairs; None if every one diverged."""
        return best_setting(self.found, self.swept["metric"])

    @property
    def quantity(self) -> str:
        """What is measured, in words, on the pairs that are shown."""
        return f"{self.swept['split']} {self.swept['metric'].replace('_', ' ')}"

    def values(self, split: str) -> pd.DataFrame:
        """Return points × rounds of the metric; NaN where a training diverged."""
        rows = self.table[self.table["split"] == split]
        return rows.pivot(index="point", columns="round", values="value").reindex(list(self.found))


def is_even_in_logarithms(values: Sequence[float]) -> bool:
    """Return whether numbers are spaced more evenly on a logarithmic axis than on a linear one; equals count once."""
    distinct = np.unique(np.asarray(values, dtype=float))
    if len(distinct) < 3 or distinct[0] <= 0:
        return False
    steps = np.diff(distinct), np.diff(np.log(distinct))
    linear, logarithmic = (step.std() / step.mean() for step in steps)
    return bool(logarithmic < linear - 1e-9)


def is_number(values: Sequence[object]) -> bool:
    """Return whether the values of an axis are numbers; true and false are not."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def metric_axis(axis: mpl.axis.Axis, metric: str) -> None:
    """Label an axis of the metric, in per cent where it is a share."""
    if metric in RATES:
        percent_axis(axis)

"""From metrics of cells to the numbers that a table shows."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from twinbench.config.fields import RATES


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation of n values; the deviation is NaN for one value."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: pd.Series) -> "Summary":
        """Summarise values, leaving out NaN."""
        values = values.dropna()
        # Equal values, as the seconds of rounds trained together, would have a deviation of rounding errors.
        constant = len(values) > 1 and values.max() == values.min()
        std = 0.0 if constant else float(values.std(ddof=1))
        return cls(float(values.mean()), std, len(values))

    def confidence_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return Student's interval for the mean: mean ± t · std / √n; NaN for fewer than two values."""
        if self.n < 2:
            return math.nan, math.nan
        half = stats.t.ppf((1 + confidence) / 2, self.n - 1) * self.std / math.sqrt(self.n)
        return self.mean - half, self.mean + half

    def prediction_interval(
        self, of: int = 1, confidence: float = 0.95, freedom: int | None = None, noise: float = 0.0
    ) -> tuple[float, float]:
        """Return the interval in which the mean of ``of`` more values falls with that confidence, if they are normal.

        mean ± t · √(std² · (1/of + 1/n) + noise), t being Student's quantile.

        Args:
            of: number of new values that are averaged.
            confidence: the probability.
            freedom: degrees of freedom of the deviation; n − 1 where None. NaN comes back for fewer than one.
            noise: variance of what the deviation does not hold.
        """
        freedom = self.n - 1 if freedom is None else freedom
        if freedom < 1:
            return math.nan, math.nan
        variance = self.std**2 * (1 / of + 1 / self.n) + noise
        half = stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(variance)
        return self.mean - half, self.mean + half


def possible(interval: tuple[float, float], metric: str) -> tuple[float, float]:
    """Return an interval cut to what the metric can be: a share from 0 to 1, a loss from 0 on; NaN stays.

    Student's distribution, which the intervals of this module come from, knows no such ends.
    """
    low, high = np.clip(interval, 0.0, 1.0 if metric in RATES else np.inf)
    return float(low), float(high)


def select_folds(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one fold for every (study, model, round): the one with the best validation accuracy.

    Ties go to the lower validation loss, then to the lower fold. Rounds without cross-validation keep their only fold.
    Test metrics play no part.
    """
    keys = ["study", "model", "round"]
    validation = metrics[(metrics["split"] == "validation") & metrics["metric"].isin(["accuracy", "loss"])]
    wide = validation.pivot(index=[*keys, "fold"], columns="metric", values="value")
    wide = wide.reindex(columns=["accuracy", "loss"]).reset_index()
    wide = wide.assign(number=wide["fold"].where(wide["fold"] != "all", "0").astype(int))
    best = wide.sort_values(["accuracy", "loss", "number"], ascending=[False, True, True]).groupby(keys).head(1)
    others = metrics.loc[metrics["fold"] == "all", [*keys, "fold"]].drop_duplicates()
    chosen = pd.concat([best[[*keys, "fold"]], others]).drop_duplicates(keys)
    return chosen.sort_values(keys).reset_index(drop=True)


def reported(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of the selected fold of every round, one value a (study, model, round, split, metric)."""
    return metrics.merge(select_folds(metrics), on=["study", "model", "round", "fold"])

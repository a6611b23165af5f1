"""From metrics of cells to the numbers that a table shows."""

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats


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
        # Equal values, such as the seconds of rounds trained together, would show rounding errors as deviation.
        constant = len(values) > 1 and values.max() == values.min()
        std = 0.0 if constant else float(values.std(ddof=1))
        return cls(float(values.mean()), std, len(values))

    def confidence_interval(self) -> tuple[float, float]:
        """Return Student's 95 % interval for the mean: mean ± t · std / √n; NaN for fewer than two values."""
        return self.prediction_interval(of=math.inf)

    def prediction_interval(self, of: float = 1, freedom: int | None = None, noise: float = 0.0) -> tuple[float, float]:
        """Return the interval that holds the mean of ``of`` new values in 95 % of cases, if they are normal.

        It is mean ± t · √(std² · (1/of + 1/n) + noise), where t is Student's quantile.

        Args:
            of: number of new values that are averaged.
            freedom: degrees of freedom of the deviation; None for n − 1. With fewer than one, the interval is NaN.
            noise: variance that the deviation lacks.
        """
        freedom = self.n - 1 if freedom is None else freedom
        if freedom < 1:
            return math.nan, math.nan
        variance = self.std**2 * (1 / of + 1 / self.n) + noise
        half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
        return self.mean - half, self.mean + half


def select_folds(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one fold for every (study, model, round): the one with the best validation accuracy.

    Ties go to the lower validation loss, then to the lower fold. Rounds without cross-validation keep their only fold.
    Test metrics play no part.
    """
    keys = ["study", "model", "round"]
    validation = metrics[metrics["split"] == "validation"]
    wide = validation.pivot(index=[*keys, "fold"], columns="metric", values="value")
    folds = metrics[[*keys, "fold"]].drop_duplicates().join(wide.reindex(columns=["accuracy", "loss"]), [*keys, "fold"])
    folds["number"] = pd.to_numeric(folds["fold"], errors="coerce")  # NaN for ``all``, the only fold
    best = folds.sort_values(["accuracy", "loss", "number"], ascending=[False, True, True]).drop_duplicates(keys)
    return best[[*keys, "fold"]].sort_values(keys).reset_index(drop=True)


def reported(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of the selected fold of every round, one value per (study, model, round, split, metric)."""
    return metrics.merge(select_folds(metrics), on=["study", "model", "round", "fold"])

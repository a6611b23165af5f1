"""From metrics of cells to the numbers that a table shows."""

import math
from dataclasses import dataclass

import pandas as pd
from scipy import special  # scipy.stats would double the start of each job


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

    def prediction_interval(self, of: float = 1, noise: float = 0.0) -> tuple[float, float]:
        """Return the interval that holds the mean of ``of`` new values in 95 % of cases, if they are normal.

        It is mean ± t · √(std² · (1/of + 1/n) + noise), where t is Student's quantile; NaN for fewer than two values.

        Args:
            of: number of new values that are averaged.
            noise: variance that the deviation lacks.
        """
        if self.n < 2:
            return math.nan, math.nan
        variance = self.std**2 * (1 / of + 1 / self.n) + noise
        half = special.stdtrit(self.n - 1, 0.975) * math.sqrt(variance)
        return self.mean - half, self.mean + half


def mark_reported(metrics: pd.DataFrame, folds: dict[str, str]) -> pd.DataFrame:
    """Add the column ``reported`` to a study's metrics: whether the fold is the one whose test results are reported.

    At most one fold of every (model, round) is: the one named, or the one with the best validation accuracy. Ties go to
    the lower validation loss, then to the lower fold. A named fold whose training diverged has no rows, so no other
    one stands for it. Test metrics play no part.

    Args:
        metrics: tidy rows of a study.
        folds: for each model ``best`` or the name of a fold.
    """
    keys = ["model", "round"]
    validation = metrics[metrics["split"] == "validation"]
    wide = validation.pivot(index=[*keys, "fold"], columns="metric", values="value")
    table = metrics[[*keys, "fold"]].drop_duplicates().join(wide.reindex(columns=["accuracy", "loss"]), [*keys, "fold"])
    table["number"] = pd.to_numeric(table["fold"], errors="coerce")  # NaN for ``all``, the only fold
    rule = table["model"].map(folds)
    best = table[rule == "best"].sort_values(["accuracy", "loss", "number"], ascending=[False, True, True])
    chosen = pd.concat([best.drop_duplicates(keys), table[rule == table["fold"]]]).set_index([*keys, "fold"]).index
    return metrics.assign(reported=pd.MultiIndex.from_frame(metrics[[*keys, "fold"]]).isin(chosen))


def reported(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of the reported fold of every round, one value per (study, model, round, split, metric)."""
    return metrics[metrics["reported"]]

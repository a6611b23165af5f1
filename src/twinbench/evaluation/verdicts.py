"""Whether a published number and ours agree, and how sure one can be."""

import math
from dataclasses import dataclass

import pandas as pd

from twinbench.config.fields import RATES
from twinbench.evaluation.statistics import Summary, possible, reported

# How a published quantity is named in metrics.parquet; an error is 1 − the accuracy.
MEASURED = {
    "accuracy": "accuracy", "error": "accuracy", "digit_error": "digit_accuracy", "loss": "loss",
    "target_loss": "target_loss",
}  # fmt: skip
# With fewer values, Student's quantile makes any published number fit.
FEWEST = 5


@dataclass(frozen=True)
class Verdict:
    """What comes out of one comparison."""

    word: str  # reproduced, higher, lower (ours than the published value) or not comparable
    reason: str = ""  # why it is not comparable
    interval: tuple[float, float] = (math.nan, math.nan)  # 95 % prediction interval for the published value


@dataclass(frozen=True)
class Measured:
    """One study's results, as comparisons with published numbers need them."""

    metrics: pd.DataFrame  # study, model, fold, round, split, metric, value of every fold
    cells: pd.DataFrame  # a row a training
    protocol: dict  # pairs, rounds, folds, fixed_data
    smaller: bool  # whether a scale has changed more of the published protocol than the number of rounds

    def values(self, model: str, metric: str, split: str) -> pd.Series:
        """Return our values of a published quantity, one a round.

        Under cross-validation, training and test values are those of the selected fold; validation values are those of
        every fold, as the reports give mean and deviation over the folds. Seconds add up a round's trainings.
        """
        if metric == "seconds":
            done = self.cells[(self.cells["model"] == model) & (self.cells["status"] == "ok")]
            return done.groupby("round")["train_seconds"].sum()
        rows = self.metrics if split == "validation" else reported(self.metrics)
        return self._of(rows, model, metric, split)

    def judge(self, model: str, published: dict) -> Verdict:
        """Compare a published value (`config.models.PublishedValue`) with ours.

        The interval is that of `Summary.prediction_interval` for the mean of as many rounds as were published. Where
        the rounds share their pairs, or where they are too few and the deviation is that of the folds, that holds no
        sampling noise of test pairs, ours or theirs: 2·p·(1 − p)/N is added for a share p of N pairs (or 2N digits).
        """
        metric, split = published["metric"], published["split"]
        ours = Summary.of(self.values(model, metric, split))
        if not ours.n:
            return Verdict("not comparable", "no result of ours")
        if metric == "seconds":
            return Verdict("not comparable", "other hardware")
        if self.smaller:
            return Verdict("not comparable", "smaller protocol")
        spread, shared_pairs = ours, self.protocol["fixed_data"]
        if ours.n < FEWEST:
            spread, shared_pairs = Summary.of(self._of(self.metrics, model, metric, split)), True
        if spread.n < FEWEST:
            return Verdict("not comparable", "too few rounds")
        if shared_pairs and metric not in RATES:
            return Verdict("not comparable", "one set of pairs")
        noise = 2 * ours.mean * (1 - ours.mean) / self._sampled(metric, split) if shared_pairs else 0.0
        # With the folds' deviation, ours is still the mean of ours.n values.
        interval = Summary(ours.mean, spread.std, ours.n).prediction_interval(
            of=published["n"], freedom=spread.n - 1, noise=noise
        )
        interval = possible(interval, metric)
        if published["value"] > interval[1]:
            return Verdict("lower", interval=interval)
        return Verdict("higher" if published["value"] < interval[0] else "reproduced", interval=interval)

    def _sampled(self, metric: str, split: str) -> int:
        """Return how many pairs, or digits, a share of a split is taken of."""
        pairs = self.protocol["pairs"]
        folds = self.protocol["folds"]
        count = pairs["train"] // folds if split == "validation" and folds else pairs[split]
        return 2 * count if metric == "digit_error" else count

    def _of(self, rows: pd.DataFrame, model: str, metric: str, split: str) -> pd.Series:
        chosen = (rows["model"] == model) & (rows["split"] == split) & (rows["metric"] == MEASURED[metric])
        return as_quantity(rows.loc[chosen, "value"], metric)


def as_quantity(values: pd.Series, metric: str) -> pd.Series:
    """Return values of ``MEASURED[metric]`` as the quantity itself: an error is 1 − the accuracy."""
    return 1 - values if metric in ("error", "digit_error") else values


def is_smaller(reduced: dict) -> bool:
    """Return whether a scale changes more than the number of rounds, so that its values and published ones differ."""
    return bool(reduced.keys() - {"protocol"} or reduced.get("protocol", {}).keys() - {"rounds"})

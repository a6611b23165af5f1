"""Judge by a prediction interval whether a published number and ours agree."""

import math
from dataclasses import dataclass

import pandas as pd

from twinbench.evaluation.statistics import Summary, reported
from twinbench.metric import METRICS
from twinbench.spec.model import PublishedValue
from twinbench.spec.study import Study

# With fewer values, Student's quantile makes any published number fit.
FEWEST = 5


@dataclass(frozen=True)
class Verdict:
    """The outcome of one comparison."""

    word: str  # reproduced, higher, lower (ours than the published value) or not comparable
    reason: str = ""  # why it is not comparable
    interval: tuple[float, float] = (math.nan, math.nan)  # 95 % prediction interval for the published value


@dataclass(frozen=True)
class Measured:
    """One study's results, for comparisons with published numbers."""

    study: Study
    metrics: pd.DataFrame  # study, model, fold, round, split, metric, value of every fold
    cells: pd.DataFrame  # a row per training

    def values(self, model: str, metric: str, split: str) -> pd.Series:
        """Return our values of a metric, one per round.

        With cross-validation, training and test values come from the selected fold. Validation values come from every
        fold, because the reports average over the folds. Seconds are the sum over a round's trainings.
        """
        if METRICS[metric].hardware:
            done = self.cells[(self.cells["model"] == model) & (self.cells["status"] == "ok")]
            return done.groupby("round")[METRICS[metric].column].sum()
        rows = self.metrics if split == "validation" else reported(self.metrics)
        return self._of(rows, model, metric, split)

    def summary(self, model: str, metric: str, split: str) -> Summary:
        """Return mean and deviation of `values`."""
        return Summary.of(self.values(model, metric, split))

    def judge(self, model: str, published: PublishedValue) -> Verdict:
        """Compare a published value with ours.

        The interval is `Summary.prediction_interval` for the mean of as many rounds as were published. If rounds share
        their pairs, or are so few that the folds give the deviation, then the deviation lacks the sampling noise of
        the pairs, ours and theirs: a share p of N pairs (or 2N digits) adds the variance 2·p·(1 − p)/N.
        """
        metric, split = METRICS[published.metric], published.split
        ours = self.summary(model, metric.name, split)
        if not ours.n:
            return Verdict("not comparable", "no result of ours")
        if metric.hardware:
            return Verdict("not comparable", "other hardware")
        if is_smaller(self.study):
            return Verdict("not comparable", "smaller protocol")
        spread, shared_pairs = ours, self.study.protocol.fixed_data
        if ours.n < FEWEST:
            spread, shared_pairs = Summary.of(self._of(self.metrics, model, metric.name, split)), True
        if spread.n < FEWEST:
            return Verdict("not comparable", "too few rounds")
        if shared_pairs and not metric.share:
            return Verdict("not comparable", "one set of pairs")
        noise = 2 * ours.mean * (1 - ours.mean) / self._sampled(metric.name, split) if shared_pairs else 0.0
        # With the folds' deviation, ours is still the mean of ours.n values.
        around = Summary(ours.mean, spread.std, ours.n)
        interval = around.prediction_interval(of=published.n, freedom=spread.n - 1, noise=noise)
        low, high = metric.possible(interval)
        word = "lower" if published.value > high else "higher" if published.value < low else "reproduced"
        return Verdict(word, interval=(low, high))

    def _sampled(self, metric: str, split: str) -> int:
        """Return the number of pairs, or of digits, that a share of a split is taken of."""
        pairs, folds = self.study.protocol.pairs, self.study.protocol.folds
        count = pairs.train // folds if split == "validation" and folds else getattr(pairs, split)
        return 2 * count if METRICS[metric].head == "digits" else count

    def _of(self, rows: pd.DataFrame, model: str, metric: str, split: str) -> pd.Series:
        found = METRICS[metric]
        chosen = (rows["model"] == model) & (rows["split"] == split) & (rows["metric"] == found.column)
        return found.of(rows.loc[chosen, "value"])


def is_smaller(study: Study) -> bool:
    """Return whether the scale changes more than the number of rounds: then ours and published values differ."""
    reduced = study.reduced
    return bool(reduced.keys() - {"protocol"} or reduced.get("protocol", {}).keys() - {"rounds"})

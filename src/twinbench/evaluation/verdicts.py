"""Judge by a prediction interval whether a published number and ours agree."""

import math
from dataclasses import dataclass

import pandas as pd

from twinbench.evaluation.statistics import Summary, reported
from twinbench.metric import METRICS
from twinbench.spec.model import PublishedValue
from twinbench.spec.study import Study

# With fewer rounds, Student's quantile is so large that almost any published number fits.
FEWEST = 5


@dataclass(frozen=True)
class Verdict:
    """The outcome of one comparison."""

    word: str  # reproduced, higher, lower (ours than the published value) or no verdict
    reason: str = ""  # why there is no verdict
    interval: tuple[float, float] = (math.nan, math.nan)  # 95 % prediction interval for the published value
    half_width: float = math.nan  # of that interval, before it is cut to possible values


@dataclass(frozen=True)
class Measured:
    """One study's results, for comparisons with published numbers."""

    study: Study
    metrics: pd.DataFrame  # study, model, fold, round, split, metric, value of every fold
    cells: pd.DataFrame  # a row per training

    @classmethod
    def of(cls, study: Study, metrics: pd.DataFrame, cells: pd.DataFrame) -> "Measured":
        """Return the study's results from the tables of all studies."""
        return cls(study, *(table[table["study"] == study.name] for table in (metrics, cells)))

    def rounds(self, model: str, metric: str, split: str) -> pd.DataFrame:
        """Return our values of a metric: round, value and, unless it is one of the hardware, fold.

        With cross-validation, training and test values come from the reported fold. Validation values come from every
        fold of the rounds that train all of them, because the reports average over the folds. Seconds are the sum over
        a round's trainings.
        """
        found = METRICS[metric]
        if found.hardware:
            done = self.cells[(self.cells["model"] == model) & (self.cells["status"] == "ok")]
            return done.groupby("round")[found.column].sum().rename("value").reset_index()
        rows = self.metrics if split == "validation" else reported(self.metrics)
        rows = rows[(rows["model"] == model) & (rows["split"] == split) & (rows["metric"] == found.column)]
        entry = self.study.models.get(model)
        if split == "validation" and entry and entry.whole_rounds:
            rows = rows[rows["round"] < entry.whole_rounds]
        return rows[["round", "fold"]].assign(value=found.of(rows["value"]))

    def summary(self, model: str, metric: str, split: str) -> Summary:
        """Return mean and deviation of the values of `rounds`."""
        return Summary.of(self.rounds(model, metric, split)["value"])

    def judge(self, model: str, published: PublishedValue) -> Verdict:
        """Compare a published value with ours.

        The interval is `Summary.prediction_interval` for the mean of as many rounds as the published value has. If
        rounds share their pairs, the deviation lacks the sampling noise of our pairs and of theirs. So, for a share p
        of N pairs or digits, the variance 2·p·(1 − p)/N is added.
        """
        metric, split = METRICS[published.metric], published.split
        rows, shared_pairs = self.rounds(model, metric.name, split).dropna(), self.study.protocol.fixed_data
        if rows.empty:
            return Verdict("no verdict", "no result of ours")
        if metric.hardware:
            return Verdict("no verdict", "other hardware")
        if is_smaller(self.study):
            return Verdict("no verdict", "smaller protocol")
        if rows["round"].nunique() < FEWEST:
            return Verdict("no verdict", "too few rounds")
        if shared_pairs and not metric.share:
            return Verdict("no verdict", "one set of pairs")
        ours = Summary.of(rows["value"])
        noise = 2 * ours.mean * (1 - ours.mean) / self._sampled(metric.name, split) if shared_pairs else 0.0
        interval = ours.prediction_interval(of=published.n, noise=noise)
        low, high = metric.possible(interval)
        word = "lower" if published.value > high else "higher" if published.value < low else "reproduced"
        return Verdict(word, interval=(low, high), half_width=interval[1] - ours.mean)

    def _sampled(self, metric: str, split: str) -> int:
        """Return the number of pairs, or of digits, that a share of a split is taken of."""
        pairs, folds = self.study.protocol.pairs, self.study.protocol.folds
        count = pairs.train // folds if split == "validation" and folds else getattr(pairs, split)
        return 2 * count if METRICS[metric].of_digits else count


def is_smaller(study: Study) -> bool:
    """Return whether the scale changes more than the number of rounds: then ours and published values differ."""
    reduced = study.reduced
    return bool(reduced.keys() - {"protocol"} or reduced.get("protocol", {}).keys() - {"rounds"})

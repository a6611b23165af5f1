"""The only table of metrics: all that the project knows of a metric stands here.

To add a metric, add a line to `METRICS` and, if no column holds it yet, its value per pair in `evaluation.metrics`.
"""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One metric; a study file, a table of the report or a figure names it by ``name``."""

    name: str
    column: str  # its ``metric`` in metrics.parquet; for seconds, its column in cells.parquet
    head: str | None = None  # the head that a model needs for it
    share: bool = False  # a share of pairs or of digits, from 0 to 1, which people read in per cent
    of_digits: bool = False  # a share of digits, of which a pair has two
    higher_is_better: bool = False
    complement: bool = False  # the metric is 1 − column
    of_weights: bool = False  # the weights of the objective enter
    hardware: bool = False  # it depends on the machine, and predictions do not hold it

    @property
    def words(self) -> str:
        """The name as text: ``digit error``."""
        return self.name.replace("_", " ")

    def of(self, column: Any) -> Any:
        """Return the metric from values of its column."""
        return 1 - column if self.complement else column

    def possible(self, interval: tuple[float, float]) -> tuple[float, float]:
        """Return an interval cut to possible values: from 0 to 1 for a share, from 0 on for any other; NaN stays.

        Intervals come from Student's distribution, which has no such ends.
        """
        most = 1.0 if self.share else math.inf
        low, high = (end if math.isnan(end) else min(max(end, 0.0), most) for end in interval)
        return low, high

    def text(self, value: float, std: float | None = None) -> str:
        """Return a value and its deviation as text, to the deviation's first digit; shares in per cent, one decimal."""
        if self.share:
            return f"{100 * value:.1f}" + (f" ± {100 * std:.1f} %" if std is not None else " %")
        size = std or abs(value) / 10  # without a deviation: two significant digits
        decimals = max(0, -math.floor(math.log10(size))) if size else 0
        return f"{value:.{decimals}f}" + (f" ± {std:.{decimals}f}" if std else "")

    def difference(self, difference: float) -> str:
        """Return a difference of two values as text, with its sign; for shares, in points."""
        text = f"{100 * difference:+.1f} points" if self.share else f"{difference:+.2g}"
        return text.replace("-", "−")


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", share=True, higher_is_better=True),
        Metric("error", "accuracy", share=True, complement=True),
        Metric("digit_error", "digit_accuracy", head="digits", share=True, of_digits=True, complement=True),
        # Of the comparison of the two most likely digits, whatever the model's own decision is.
        Metric("recognition_error", "accuracy_digits", head="digits", share=True, complement=True),
        Metric("loss", "loss", of_weights=True),  # of the whole objective
        Metric("target_loss", "target_loss", head="target"),
        Metric("seconds", "train_seconds", hardware=True),  # of training per round
    )
}

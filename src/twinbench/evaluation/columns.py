"""The columns of a prediction file, the same for every model."""

import numpy as np

TRUTH = ["round", "split", "pair", "left_digit", "right_digit", "target"]


def complete(columns: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Add the columns of the heads that a model lacks, so that all prediction files have one schema.

    Args:
        columns: those that the model has, each (count,): ``target_logit`` (logit of left ≤ right); ``left_predicted``,
            ``right_predicted`` (digits), ``left_nll``, ``right_nll`` (negative log-likelihood of the true digit, nats)
            and ``posterior`` (probability of left ≤ right that the two digit posteriors imply).
        count: number of pairs.

    Returns:
        All six; NaN, or -1 for a digit, where the model has no such head.
    """
    nan, none = np.full(count, np.nan, np.float32), np.full(count, -1, np.int8)
    return {
        "target_logit": nan, "left_predicted": none, "right_predicted": none,
        "left_nll": nan, "right_nll": nan, "posterior": nan,
    } | columns  # fmt: skip

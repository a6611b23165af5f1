"""Metrics from stored predictions: a new one needs no retraining."""

import numpy as np
import pandas as pd

from twinbench.decisions import DECISIONS, decide
from twinbench.tasks.tables import SPLITS

LOSSES = {"target": "target_loss", "digits": "digit_loss"}  # metric of each head's loss


def metrics(predictions: pd.DataFrame, decision: str, weights: dict[str, float], loss: str) -> pd.DataFrame:
    """Return the metrics of every (fold, round, split) of one model's predictions.

    Args:
        predictions: rows of `predictions.predict_study`.
        decision: which of the model's answers counts as its decision.
        weights: of the ``target`` and of the ``digits`` loss in the objective.
        loss: of the target head, ``cross-entropy`` or ``mse``.

    Returns:
        Tidy rows: fold, round, split, metric, value. Metrics: ``accuracy`` (of the decision), ``accuracy_target``,
        ``accuracy_digits``, ``accuracy_posterior`` (of each possible decision), ``target_loss`` and ``digit_loss``
        (cross-entropy in nats, or squared difference; the digit loss adds both sides), ``loss`` (of the objective),
        ``digit_accuracy``. A metric whose head the model lacks has no row.
    """
    predictions = predictions[predictions["split"].isin(SPLITS)]
    scores = pair_scores(predictions, loss)
    means = predictions.assign(**scores).groupby(["fold", "round", "split"], sort=True)[list(scores)].mean()
    means.insert(0, "accuracy", means[f"accuracy_{decision}"])
    means["loss"] = sum(weight * means[LOSSES[head]] for head, weight in weights.items() if weight)
    tidy = means.reset_index().melt(["fold", "round", "split"], var_name="metric", value_name="value")
    return tidy.dropna(subset="value").reset_index(drop=True)


def pair_scores(predictions: pd.DataFrame, loss: str = "cross-entropy") -> dict[str, np.ndarray]:
    """Return the value of each metric for each example, NaN if the model lacks the head. The metric is their mean."""
    target = predictions["target"].to_numpy().astype(bool)
    columns = {name: predictions[name].to_numpy() for name in ("left_predicted", "right_predicted")}
    columns |= {name: predictions[name].to_numpy().astype(float) for name in ("target_logit", "posterior")}
    logit, named = columns["target_logit"], columns["left_predicted"] >= 0  # -1 stands for "no digit head"
    has_head = {"target": ~np.isnan(logit), "digits": named, "posterior": ~np.isnan(columns["posterior"])}
    right = {name: np.where(has_head[name], decide(columns, name) == target, np.nan) for name in DECISIONS}
    # Points of the disc have no digits.
    right_digits = sum(
        columns[f"{side}_predicted"] == predictions.get(f"{side}_digit", -1) for side in ("left", "right")
    )
    with np.errstate(invalid="ignore"):  # NaN stays NaN where the model lacks the target head
        # Cross-entropy is −log sigmoid(±logit), without overflow for large logits.
        entropy = np.logaddexp(0, np.where(target, -logit, logit))
    return {
        **{f"accuracy_{name}": values for name, values in right.items()},
        "target_loss": (logit - (2.0 * target - 1)) ** 2 if loss == "mse" else entropy,
        "digit_loss": predictions["left_nll"].to_numpy().astype(float) + predictions["right_nll"].to_numpy(),
        "digit_accuracy": np.where(named, right_digits / 2, np.nan),
    }

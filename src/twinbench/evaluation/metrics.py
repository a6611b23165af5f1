"""Metrics from stored predictions: a new one needs no retraining."""

import numpy as np
import pandas as pd


def metrics(predictions: pd.DataFrame, decision: str, weights: dict[str, float]) -> pd.DataFrame:
    """Return the metrics of every (fold, round, split) of one model's predictions.

    Args:
        predictions: columns of `predictions.predict_cell`.
        decision: ``target`` or ``digits``: which of the model's answers counts as its decision.
        weights: of the ``target`` and of the ``digits`` loss in the objective.

    Returns:
        Tidy rows: fold, round, split, metric, value. Metrics: ``accuracy`` (of the decision), ``accuracy_target``,
        ``accuracy_digits``, ``accuracy_posterior`` (of each possible decision), ``target_loss`` and ``digit_loss``
        (cross-entropy in nats; the digit loss adds both sides), ``loss`` (of the objective), ``digit_accuracy``. A
        metric whose head the model lacks has no row.
    """
    scored = predictions.assign(**pair_scores(predictions))
    names = ["accuracy_target", "accuracy_digits", "accuracy_posterior", "target_loss", "digit_loss", "digit_accuracy"]
    means = scored.groupby(["fold", "round", "split"], sort=True, observed=True)[names].mean()
    means.insert(0, "accuracy", means[f"accuracy_{decision}"])
    losses = {"target": "target_loss", "digits": "digit_loss"}
    means["loss"] = sum(weight * means[losses[head]] for head, weight in weights.items() if weight)
    tidy = means.reset_index().melt(["fold", "round", "split"], var_name="metric", value_name="value")
    return tidy.dropna(subset="value").reset_index(drop=True)


def pair_scores(predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return each metric's value of each pair, NaN where the model lacks the head; a metric is the mean over pairs."""
    target = predictions["target"].to_numpy().astype(bool)
    logit = predictions["target_logit"].to_numpy().astype(float)
    left, right = (predictions[f"{side}_predicted"].to_numpy() for side in ("left", "right"))
    posterior = predictions["posterior"].to_numpy().astype(float)
    named = left >= 0  # -1 stands for "no digit head"
    right_digits = (left == predictions["left_digit"]).to_numpy() / 2 + (
        right == predictions["right_digit"]
    ).to_numpy() / 2
    return {
        "accuracy_target": np.where(np.isnan(logit), np.nan, (logit > 0) == target),
        "accuracy_digits": np.where(named, (left <= right) == target, np.nan),
        "accuracy_posterior": np.where(np.isnan(posterior), np.nan, (posterior > 0.5) == target),
        # −log sigmoid(±logit), without overflow for large logits
        "target_loss": np.logaddexp(0, np.where(target, -logit, logit)),
        "digit_loss": predictions["left_nll"].to_numpy().astype(float) + predictions["right_nll"].to_numpy(),
        "digit_accuracy": np.where(named, right_digits, np.nan),
    }

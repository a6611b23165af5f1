"""Turn the answers of a model's heads into its decision: left ≤ right, or inside the disc. All rules are here."""

from collections.abc import Mapping
from typing import Any

DECISIONS = ("target", "digits", "posterior")


def decide(columns: Mapping[str, Any], decision: str) -> Any:
    """Return (N,) bool: whether the model says yes.

    Args:
        columns: arrays or tensors (N,): for ``target`` the logit of yes, ``target_logit``; for ``digits`` the most
            likely classes, ``left_predicted`` and ``right_predicted``; for ``posterior`` the probability of
            left ≤ right that the two digit posteriors imply, ``posterior``.
        decision: one of ``DECISIONS``.
    """
    if decision == "target":
        return columns["target_logit"] > 0
    if decision == "digits":
        return columns["left_predicted"] <= columns["right_predicted"]
    return columns["posterior"] > 0.5

"""What a model is trained for, and how its heads become a decision. Shapes: B pairs, two images a pair."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from twinbench.architectures.registry import Heads


def loss_parts(heads: Heads, target: Tensor, digits: Tensor) -> dict[str, Tensor]:
    """Return the mean loss of each head that the model has, as scalars.

    Args:
        heads: logits, ``target`` (B, 2) and ``digits`` (B, 2, 10), either of which may be absent.
        target: (B,) int64, 1 where left ≤ right.
        digits: (B, 2) int64, the true digits.

    Returns:
        ``target``: cross-entropy of the comparison. ``digits``: cross-entropy of the left digit plus that of the right.
    """
    parts = {}
    if "target" in heads:
        parts["target"] = F.cross_entropy(heads["target"], target)
    if "digits" in heads:
        # Both sides have B rows, so the sum of the two means is twice the mean over all 2B.
        parts["digits"] = 2 * F.cross_entropy(heads["digits"].flatten(0, 1), digits.flatten())
    return parts


def weighted(parts: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Return the weighted sum of the loss parts; a head of weight 0 is left out, so it gets no gradient."""
    return sum(weight * parts[head] for head, weight in weights.items() if weight)


def decide(heads: Heads, decision: str) -> Tensor:
    """Return (B,) bool, whether the model says left ≤ right: by its target head, or by comparing its digits."""
    if decision == "target":
        return heads["target"].argmax(-1).bool()
    left, right = heads["digits"].argmax(-1).unbind(-1)
    return left <= right


def posterior(heads: Heads) -> Tensor:
    """Return (B,) the probability of left ≤ right that the digit head's two posteriors imply, sides independent."""
    left, right = heads["digits"].softmax(-1).unbind(-2)
    at_least = right.flip(-1).cumsum(-1).flip(-1)  # P(right ≥ k)
    return (left * at_least).sum(-1).clamp(0, 1)


def count_correct(heads: Heads, target: Tensor, digits: Tensor, decision: str) -> dict[str, Tensor]:
    """Return the number of right decisions and, with a digit head, of right digits (of 2B), as scalars."""
    counts = {"accuracy": (decide(heads, decision) == target.bool()).sum()}
    if "digits" in heads:
        counts["digit_accuracy"] = (heads["digits"].argmax(-1) == digits).sum() / torch.tensor(2.0)
    return counts

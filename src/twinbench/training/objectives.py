"""What a model is trained for, and how its heads become a decision. Shapes: B pairs, two images a pair, R replicas."""

from functools import reduce
from operator import add

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from twinbench.architectures.registry import Heads


def loss_parts(heads: Heads, target: Tensor, digits: Tensor, replicas: int = 1) -> dict[str, Tensor]:
    """Return the mean losses of each head that the model has, (R,): over the pairs of each of R replicas.

    Args:
        heads: logits, ``target`` (R·B, 2) and ``digits`` (R·B, 2, 10), either of which may be absent.
        target: (R·B,) int64, 1 where left ≤ right.
        digits: (R·B, 2) int64, the true digits.
        replicas: R; their pairs follow each other, B of each.

    Returns:
        ``target``: cross-entropy of the comparison. ``digits``: cross-entropy of the left digit plus that of the right.
    """
    rows = {}
    if "target" in heads:
        rows["target"] = F.cross_entropy(heads["target"], target, reduction="none")
    if "digits" in heads:
        rows["digits"] = F.cross_entropy(heads["digits"].flatten(0, 1), digits.flatten(), reduction="none")
    pairs = len(target) // replicas
    return {head: _times(1 / pairs, losses.unflatten(0, (replicas, -1)).sum(1)) for head, losses in rows.items()}


def weighted(parts: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Return the weighted sums (R,) of the loss parts; a head of weight 0 is left out, so it gets no gradient."""
    return reduce(add, (_times(weight, parts[head]) for head, weight in weights.items() if weight))


def _times(factor: float, x: Tensor) -> Tensor:
    """Return the product; a factor of 1 costs nothing, in a step of one pair that has some 100 small operations."""
    return x if factor == 1 else factor * x


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


def count_correct(heads: Heads, target: Tensor, digits: Tensor, decision: str, replicas: int = 1) -> dict[str, Tensor]:
    """Return each replica's number of right decisions and, with a digit head, of right digits / 2, (R,)."""
    right = {"accuracy": decide(heads, decision) == target.bool()}
    if "digits" in heads:
        right["digit_accuracy"] = (heads["digits"].argmax(-1) == digits).float().mean(-1)
    return {name: correct.unflatten(0, (replicas, -1)).sum(1) for name, correct in right.items()}

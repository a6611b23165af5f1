"""The losses and answers of a model's heads and their means over a split. Shapes: B pairs of images, R replicas."""

from collections.abc import Iterable
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from twinbench.architectures.registry import Heads
from twinbench.decisions import decide
from twinbench.spec.objectives import Stage

# Pairs of a replica evaluated at once: enough to fill the machine, few enough that a layer's output stays in the cache.
# 250 take 1.09 times as long for twin-lenet, 1.07 for a residual model, 0.97 for ResNet-18 (docs/performance.md).
EVALUATION_BATCH = 125
SIDES = {"left": slice(0, 1), "right": slice(1, 2)}


def loss_parts(
    heads: Heads, target: Tensor, digits: Tensor, replicas: int = 1, images: str = "both"
) -> dict[str, Tensor]:
    """Return the mean loss of each head that the model has, (R,): a mean per replica, over its pairs.

    Args:
        heads: ``target`` (R·B, 2) or (R·B, 1) and ``digits`` (R·B, 2, 10), either of which may be absent.
        target: (R·B,) int64, 1 where left ≤ right.
        digits: (R·B, 2) int64, the true digits.
        replicas: R; their pairs follow each other, B of each.
        images: whose digit losses count, those of ``both`` images, of the ``left`` or of the ``right`` one.

    Returns:
        ``target``: cross-entropy of the comparison; for a head with one output, the squared difference from +1 (yes) or
        −1. ``digits``: cross-entropy of the left digit plus that of the right, as far as they count.
    """
    rows = {}
    if "target" in heads and heads["target"].shape[1] == 1:
        rows["target"] = (heads["target"][:, 0] - signs(target)) ** 2
    elif "target" in heads:
        rows["target"] = F.cross_entropy(heads["target"], target, reduction="none")
    if "digits" in heads:
        logits, true = heads["digits"], digits
        if images != "both":
            logits, true = (part[:, SIDES[images]] for part in (logits, true))
        rows["digits"] = F.cross_entropy(logits.flatten(0, 1), true.flatten(), reduction="none")
    pairs = len(target) // replicas
    return {head: _times(1 / pairs, losses.unflatten(0, (replicas, -1)).sum(1)) for head, losses in rows.items()}


def signs(target: Tensor) -> Tensor:
    """Return targets 1 and 0 as +1 and −1, float32 of the same shape."""
    return 2.0 * target - 1


def weighted(parts: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Return the weighted sums (R,) of the loss parts; a head of weight 0 is left out, so it gets no gradient."""
    return reduce(add, (_times(weight, parts[head]) for head, weight in weights.items() if weight))


def _times(factor: float, x: Tensor) -> Tensor:
    """Return the product. A factor of 1 skips it: a step of one pair has only some 100 small operations."""
    return x if factor == 1 else factor * x


def answers(heads: Heads) -> dict[str, Tensor]:
    """Return the answers of the heads, (B,) each, as the columns of `decisions`; an absent head has none."""
    columns = {}
    if "target" in heads:
        target = heads["target"]
        columns["target_logit"] = target[:, 0] if target.shape[1] == 1 else target[:, 1] - target[:, 0]
    if "digits" in heads:
        left, right = heads["digits"].argmax(-1).to(torch.int8).unbind(-1)
        columns |= {"left_predicted": left, "right_predicted": right}
    return columns


def posterior(heads: Heads) -> Tensor:
    """Return (B,) the probability of left ≤ right that the digit head's two posteriors, as independent, imply."""
    left, right = heads["digits"].softmax(-1).unbind(-2)
    at_least = right.flip(-1).cumsum(-1).flip(-1)  # P(right ≥ k)
    return (left * at_least).sum(-1).clamp(0, 1)


def count_correct(heads: Heads, target: Tensor, digits: Tensor, decision: str, replicas: int = 1) -> dict[str, Tensor]:
    """Return each replica's number of right decisions and, with a digit head, of right digits / 2, (R,)."""
    columns = answers(heads)
    right = {"accuracy": decide(columns, decision) == target.bool()}
    if "digits" in heads:
        named = torch.stack([columns["left_predicted"], columns["right_predicted"]], dim=-1)
        right["digit_accuracy"] = (named == digits).float().mean(-1)
    return {name: correct.unflatten(0, (replicas, -1)).sum(1) for name, correct in right.items()}


@torch.inference_mode()
def evaluate_model(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]], stage: Stage, decision: str, replicas: int = 1
) -> list[dict[str, float]]:
    """Return each replica's loss parts, their weighted sum and weights, accuracy and digit accuracy.

    Args:
        model: one model, or R as one (`stacked.stack`), in the mode to evaluate it in.
        batches: pairs, targets and digits; with R replicas, a batch holds equally many pairs of each, in turn.
        stage: that of the epoch.
        decision: that of the model.
        replicas: R.
    """
    totals: dict[str, Tensor] = {}
    pairs_of_each = 0
    for pairs, target, digits in batches:
        heads, count = model(pairs), len(target) // replicas
        parts = loss_parts(heads, target, digits, replicas, stage.digit_images)
        means = {"loss": weighted(parts, stage.weights)} | {f"{head}_loss": part for head, part in parts.items()}
        sums = {name: mean * count for name, mean in means.items()}
        for name, total in (sums | count_correct(heads, target, digits, decision, replicas)).items():
            totals[name] = totals.get(name, 0) + total
        pairs_of_each += count
    rows = torch.stack(list(totals.values()), dim=1).div(pairs_of_each).tolist()  # one synchronisation
    fixed = {f"{head}_weight": weight for head, weight in stage.weights.items()}
    return [dict(zip(totals, values, strict=True)) | fixed for values in rows]

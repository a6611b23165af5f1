import math

import pytest
import torch

from twinbench.training.objectives import count_correct, decide, loss_parts, posterior, weighted


@pytest.fixture
def heads():
    generator = torch.Generator().manual_seed(0)
    return {"target": torch.randn(7, 2, generator=generator), "digits": torch.randn(7, 2, 10, generator=generator)}


DIGITS = torch.tensor([[0, 9], [3, 3], [5, 2], [1, 1], [9, 0], [4, 6], [7, 8]])
TARGET = (DIGITS[:, 0] <= DIGITS[:, 1]).long()


def test_losses_by_hand():
    heads = {"target": torch.tensor([[0.0, math.log(3)]]), "digits": torch.zeros(1, 2, 10)}
    parts = loss_parts(heads, torch.tensor([1]), torch.tensor([[2, 5]]))
    assert parts["target"].item() == pytest.approx(math.log(4 / 3))
    assert parts["digits"].item() == pytest.approx(2 * math.log(10))  # a uniform guess on either side
    assert weighted(parts, {"target": 0.5, "digits": 2.0}).item() == pytest.approx(
        0.5 * math.log(4 / 3) + 4 * math.log(10)
    )


def test_digit_loss_adds_left_and_right(heads):
    left, right = (torch.nn.functional.cross_entropy(heads["digits"][:, s], DIGITS[:, s]) for s in (0, 1))
    torch.testing.assert_close(loss_parts(heads, TARGET, DIGITS)["digits"], left + right)


def test_weight_zero_leaves_a_head_without_gradient(heads):
    for logits in heads.values():
        logits.requires_grad_()
    weighted(loss_parts(heads, TARGET, DIGITS), {"target": 1.0, "digits": 0.0}).backward()
    assert heads["target"].grad is not None
    assert heads["digits"].grad is None


def test_decisions(heads):
    assert decide(heads, "target").tolist() == (heads["target"][:, 1] > heads["target"][:, 0]).tolist()
    guessed = heads["digits"].argmax(-1).tolist()
    assert decide(heads, "digits").tolist() == [left <= right for left, right in guessed]


def test_posterior_sums_all_ordered_pairs(heads):
    probabilities = heads["digits"].softmax(-1)
    expected = [sum(float(p[0, i] * p[1, j]) for i in range(10) for j in range(i, 10)) for p in probabilities]
    assert posterior(heads).tolist() == pytest.approx(expected, abs=1e-6)


def test_counts(heads):
    counts = count_correct(heads, TARGET, DIGITS, "digits")
    guessed = heads["digits"].argmax(-1)
    assert counts["accuracy"] == sum(
        (left <= right) == bool(t) for (left, right), t in zip(guessed, TARGET, strict=True)
    )
    assert counts["digit_accuracy"] == (guessed == DIGITS).sum() / 2

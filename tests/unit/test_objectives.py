import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from twinbench.decisions import decide
from twinbench.spec.objectives import Objective, Stage
from twinbench.training.objectives import answers, count_correct, loss_parts, posterior, weighted


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
    torch.testing.assert_close(loss_parts(heads, TARGET, DIGITS)["digits"][0], left + right)


def test_weight_zero_leaves_a_head_without_gradient(heads):
    for logits in heads.values():
        logits.requires_grad_()
    weighted(loss_parts(heads, TARGET, DIGITS), {"target": 1.0, "digits": 0.0}).backward()
    assert heads["target"].grad is not None
    assert heads["digits"].grad is None


def test_decisions(heads):
    assert decide(answers(heads), "target").tolist() == (heads["target"][:, 1] > heads["target"][:, 0]).tolist()
    guessed = heads["digits"].argmax(-1).tolist()
    assert decide(answers(heads), "digits").tolist() == [left <= right for left, right in guessed]


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


def test_a_head_of_one_output_has_squared_differences():
    heads = {"target": torch.tensor([[0.5], [-1.0], [3.0]])}
    (loss,) = loss_parts(heads, torch.tensor([1, 1, 0]), torch.full((3, 2), -1)).values()
    assert loss.item() == pytest.approx((0.25 + 4 + 16) / 3)
    assert decide(answers(heads), "target").tolist() == [True, False, True]


def objective(**written):
    """An objective from what a file has."""
    return Objective.model_validate(written)


def test_a_hand_over_at_both_ends():
    found = objective(target={"start": 0.0, "end": 1.0}, digits={"start": 1.0, "end": 0.0})
    assert found.stage(1, 100).weights == {"target": 0, "digits": 1}
    assert found.stage(51, 100).weights == pytest.approx({"target": 0.5, "digits": 0.5})
    assert found.stage(100, 100).weights == pytest.approx({"target": 0.99, "digits": 0.01})
    assert found.varies


def test_constant_weights_stay():
    found = objective(target=1.0, digits=0.5)
    assert {found.stage(epoch, 7).weights["digits"] for epoch in range(1, 8)} == {0.5}
    assert not found.varies


def test_phases_switch_after_their_share_of_the_epochs():
    digits, target = {"digits": 1.0, "target": 0.0}, {"digits": 0.0, "target": {"start": 1.0, "end": 0.0}}
    found = objective(phases=[{"share": 0.3, "train": ["a"], **digits}, {"share": 0.7, "train": None, **target}])
    assert found.epochs(10) == [3, 7]
    assert found.stage(3, 10) == Stage({"target": 0.0, "digits": 1.0}, ("a",))
    assert found.stage(4, 10) == Stage({"target": 1.0, "digits": 0.0}, None)
    assert found.stage(10, 10).weights["target"] == pytest.approx(1 / 7)
    assert (found.trained, found.varies) == (["target", "digits"], True)


@pytest.mark.parametrize(
    "written",
    [
        {"target": 1.0},
        {"target": 0.25, "digits": 2.0},
        {"target": {"start": 0.0, "end": 1.0}, "digits": {"start": 1.0, "end": 0.0}},
        {"phases": [{"share": 0.5, "digits": 1.0, "train": ["a"]}, {"share": 0.5, "target": 1.0}]},
    ],
)
def test_an_objective_is_written_as_a_file_has_it(written):
    assert objective(**written).model_dump() == written
    assert objective(**objective(**written).model_dump()) == objective(**written)


def test_a_weight_of_0_is_not_written():
    assert objective(target=1, digits=0).model_dump() == {"target": 1.0}
    assert objective(target=1, digits={"start": 0, "end": 0}).model_dump() == {"target": 1.0}
    assert objective(target=1, digits={"start": 2, "end": 2}).model_dump() == {"target": 1.0, "digits": 2.0}


@settings(deadline=None, derandomize=True)
@given(shares=st.lists(st.integers(1, 50), min_size=2, max_size=5), epochs=st.integers(1, 200))
def test_phases_take_all_epochs_in_turn(shares, epochs):
    parts = [share / sum(shares) for share in shares]
    found = objective(phases=[{"share": part, "target": 1, "train": [str(n)]} for n, part in enumerate(parts)])
    counts = found.epochs(epochs)
    assert sum(counts) == epochs
    assert min(counts) >= 0
    trained = [found.stage(epoch, epochs).parts for epoch in range(1, epochs + 1)]
    assert trained == [(str(n),) for n, count in enumerate(counts) for _ in range(count)]


def test_losses_and_counts_of_replicas_are_those_of_each_alone(heads):
    both = {head: torch.cat([logits, -logits]) for head, logits in heads.items()}
    stacked = loss_parts(both, TARGET.repeat(2), DIGITS.repeat(2, 1), replicas=2)
    counts = count_correct(both, TARGET.repeat(2), DIGITS.repeat(2, 1), "target", replicas=2)
    for r, sign in enumerate((1, -1)):
        alone = {head: sign * logits for head, logits in heads.items()}
        for head, losses in loss_parts(alone, TARGET, DIGITS).items():
            torch.testing.assert_close(stacked[head][r], losses[0])
        for name, count in count_correct(alone, TARGET, DIGITS, "target").items():
            assert counts[name][r] == count[0]

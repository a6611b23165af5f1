"""The options of a training against a textbook's loop to which each is added by hand: 21 steps from the same seeds."""

from functools import partial

import pytest
import torch

from tests.unit.made_up_replicas import fit_once, objective_of, replicas_of, seeds_of, settings, weights_of
from tests.unit.plain_loop import (
    ADAM,
    BATCH,
    EPOCHS,
    SGD,
    Small,
    assert_same_weights,
    differs,
    losses,
    splits_of,
    started,
    train_epoch,
)
from twinbench.architectures.twin import Twin, call_branches
from twinbench.training.replicas import LoopReplicas
from twinbench.training.stacked.replicas import StackedReplicas

BOTH = pytest.mark.parametrize("strategy", [LoopReplicas, StackedReplicas], ids=["loop", "stacked"])


def trained(*, strategy=LoopReplicas, build=Small, optimizer=SGD, objective=None, curves=(), count=2, **options):
    """Train replicas; return the weights of each, and the outcome."""
    training = settings(optimizer, epochs=EPOCHS, batch_size=BATCH, **options)
    objective = objective_of(**objective or {"target": 1.0, "digits": 1.0})
    data = [splits_of(r) for r in range(count)]
    replicas = replicas_of(strategy, build, data, training, objective, curves=curves)
    outcome = fit_once(replicas)
    stacked = weights_of(replicas)
    return [{name: tensor[r] for name, tensor in stacked.items()} for r in range(count)], outcome


def epoch_seed(replica, epoch):
    return seeds_of(replica).epoch(epoch)


@BOTH
@pytest.mark.parametrize("shuffle", [True, False])
def test_shuffle(strategy, shuffle):
    ours, _ = trained(strategy=strategy, shuffle=shuffle)
    for r, weights in enumerate(ours):
        model, optimizer = started(Small, r)
        for epoch in range(1, EPOCHS + 1):
            train_epoch(model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch), shuffle=shuffle)
        assert_same_weights(weights, model)


class CalledTwice(Small):
    """The branch is called for the left images, then for the right ones, without `Twin`."""

    def forward(self, pairs):
        (branch,) = self.branch.branches
        features = torch.stack([branch(pairs[:, :1]), branch(pairs[:, 1:])], dim=1)
        return {"target": self.comparison(features.flatten(1)), "digits": self.digits(features)}


@BOTH
def test_a_branch_called_once_per_image(strategy):
    """Batch norm then sees each side alone, and updates its running statistics twice per step."""
    ours, _ = trained(strategy=strategy, build=lambda: call_branches(Small(), per_image=True))
    jointly, _ = trained(strategy=strategy)
    for r, weights in enumerate(ours):
        model, optimizer = started(CalledTwice, r)
        for epoch in range(1, EPOCHS + 1):
            train_epoch(model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch))
        assert_same_weights(weights, model)
        assert differs(weights, jointly[r], "running")
        steps = (of[r]["branch.branches.0.2.num_batches_tracked"].item() for of in (ours, jointly))
        assert list(steps) == [2 * 21, 21]


def test_separate_branches_are_called_once_per_image_either_way():
    build = Small(shared=False)
    pairs = splits_of(0)["train"].inputs
    one, other = (call_branches(build, per_image).eval()(pairs)["target"] for per_image in (True, False))
    assert torch.equal(one, other)
    assert len([module for module in build.modules() if isinstance(module, Twin)]) == 1


def test_evaluation_mode_from_an_epoch_on():
    """Without dropout, and normalised by the running statistics, which stay as they are."""
    ours, _ = trained(evaluation_mode_from=3)
    for r, weights in enumerate(ours):
        model, optimizer = started(Small, r)
        for epoch in range(1, EPOCHS + 1):
            model.train(epoch < 3)
            train_epoch(model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch))
        assert_same_weights(weights, model)


@pytest.mark.parametrize("passes", [["validation"], ["validation", "test"], ["test", "validation"]], ids="-".join)
def test_passes_after_each_epoch_change_batch_norms_statistics(passes):
    """Each split is one batch in training mode, without gradients, in the order of the list."""
    ours, outcome = trained(passes=passes, count=1)
    seen = {(row["epoch"], row["split"]): row["loss"] for row in outcome.history}
    model, optimizer = started(Small)
    splits = splits_of(0)
    for epoch in range(1, EPOCHS + 1):
        model.train()
        train_epoch(model, optimizer, splits["train"], epoch_seed(0, epoch))
        for name in passes:
            torch.manual_seed(seeds_of(0).evaluation(epoch, name))  # dropout draws
            with torch.no_grad():
                loss = losses(model(splits[name].inputs), splits[name], torch.arange(len(splits[name].target)))
            assert seen[epoch, name] == pytest.approx(loss.item(), rel=1e-9)  # what early stopping sees
    assert_same_weights(ours[0], model)
    without, _ = trained(count=1)
    assert differs(ours[0], without[0], "running")
    assert not differs({k: v for k, v in ours[0].items() if "running" not in k and "tracked" not in k}, without[0])


def test_the_order_of_passes_counts():
    one, other = (trained(passes=passes, count=1)[0][0] for passes in (["validation", "test"], ["test", "validation"]))
    assert differs(one, other, "running")


def test_evaluations_in_training_mode_change_the_scores_and_nothing_else():
    splits = ("train", "validation", "test")
    usual, in_evaluation_mode = trained(curves=splits, count=1)
    weights, outcome = trained(curves=splits, count=1, tested_in_training_mode=["test"])
    _, second = trained(curves=splits, count=1, tested_in_training_mode=["test"])
    assert all(torch.equal(weights[0][name], usual[0][name]) for name in weights[0])

    def scores(of, split):
        return [row["loss"] for row in of.history if row["split"] == split]

    assert scores(outcome, "test") == scores(second, "test")
    assert all(a != b for a, b in zip(scores(outcome, "test"), scores(in_evaluation_mode, "test"), strict=True))
    for split in ("train", "validation"):
        assert scores(outcome, split) == scores(in_evaluation_mode, split)
    model = Small()
    model.load_state_dict(weights[0])
    torch.manual_seed(seeds_of(0).evaluation(EPOCHS, "test"))
    test = splits_of(0)["test"]
    loss = losses(model(test.inputs), test, torch.arange(len(test.target)))
    assert scores(outcome, "test")[-1] == pytest.approx(loss.item(), rel=1e-9)


TWO_PHASES = [
    {"share": 0.5, "target": 0.0, "digits": 1.0, "train": ["branch", "digits"]},
    {"share": 0.5, "target": 1.0, "digits": 0.0, "train": ["comparison"]},
]


def of_phase(epoch):
    """The loss of an epoch of `TWO_PHASES`; the first has 4 of 7 epochs."""
    return partial(losses, target=False) if epoch <= 4 else partial(losses, images=())


@pytest.mark.parametrize("tested", [[], ["train"]], ids=["evaluation mode", "training mode"])
def test_a_frozen_part_keeps_its_mode_where_training_pairs_are_tested_in_training_mode(tested):
    ours, _ = trained(objective={"phases": TWO_PHASES}, tested_in_training_mode=tested)
    for r, weights in enumerate(ours):
        model, optimizer = started(Small, r)
        for epoch in range(1, EPOCHS + 1):
            model.train()
            first = epoch <= 4
            for name, part in model.named_children():
                frozen = (name == "comparison") == first
                part.requires_grad_(not frozen).train(not frozen or bool(tested))
            train_epoch(model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch), loss=of_phase(epoch))
        assert_same_weights(weights, model)


@BOTH
@pytest.mark.parametrize("anew", [True, False])
def test_a_phase_may_start_with_a_new_optimizer(strategy, anew):
    phases = [{"share": 0.5, "digits": 1.0}, {"share": 0.5, "target": 1.0, "digits": 1.0, "new_optimizer": anew}]
    ours, _ = trained(strategy=strategy, optimizer=ADAM, objective={"phases": phases})
    for r, weights in enumerate(ours):
        model, optimizer = started(Small, r, "adam")
        for epoch in range(1, EPOCHS + 1):
            if epoch == 5 and anew:
                optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            loss = of_phase(1) if epoch <= 4 else losses
            train_epoch(model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch), loss=loss)
        # A bias before batch norm has gradient 0 but for rounding, which Adam divides by its epsilon of 1e-8.
        assert_same_weights(weights, model, 1e-7)


@BOTH
@pytest.mark.parametrize(("images", "sides"), [("left", (0,)), ("right", (1,)), ("both", (0, 1))])
def test_whose_digit_losses_count(strategy, images, sides):
    ours, _ = trained(strategy=strategy, objective={"target": 1.0, "digits": 1.0, "digit_images": images})
    for r, weights in enumerate(ours):
        model, optimizer = started(Small, r)
        for epoch in range(1, EPOCHS + 1):
            train_epoch(
                model, optimizer, splits_of(r)["train"], epoch_seed(r, epoch), loss=partial(losses, images=sides)
            )
        assert_same_weights(weights, model)

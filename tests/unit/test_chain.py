"""Folds that go on with the same model and optimiser: against a loop over the folds by hand, and where they leak."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from tests.unit.made_up_replicas import KilledError, made_up, objective_of, seeds_of, settings, without_time
from tests.unit.plain_loop import (
    ADAM,
    BATCH,
    TORCH,
    Small,
    assert_same_weights,
    differs,
    losses,
    splits_of,
    started,
    train_epoch,
)
from twinbench.tasks.tensors import Split, join
from twinbench.training.checkpoint import Checkpoint
from twinbench.training.loop import fit
from twinbench.training.replicas import Assignment, LoopReplicas

FOLDS, EPOCHS = 3, 3  # of 3 steps: 27 steps
LARGE_STEPS = {"name": "sgd", "lr": 0.1, "momentum": 0.5}  # with so few pairs, the validation loss goes up and down


def folds_of(replica: int) -> list[dict[str, Split]]:
    """The splits of each fold of a replica."""
    return [splits_of(10 * replica + fold) for fold in range(FOLDS)]


def chain_of(reset, *, optimizer=ADAM, count=2, build=Small, data=folds_of, epochs=EPOCHS, curves=(), **options):
    """Replicas whose folds go on with one model; each fold is a leg."""
    folds = [data(r) for r in range(count)]
    legs = [[Assignment(folds[r][leg], seeds_of(r, leg), curves) for r in range(count)] for leg in range(len(folds[0]))]
    training = settings(optimizer, epochs=epochs, batch_size=BATCH, chain={"reset": reset}, **options)
    return LoopReplicas(build, legs, training, objective_of(target=1.0, digits=1.0), "target")


def weights_after(replicas, leg, r):
    return {name: tensor[r] for name, tensor in replicas.finished[leg].items()}


def start_fold(model, optimizer, leg, replica, reset, kind):
    """Make anew what is reset between folds; return the optimiser."""
    if leg:
        torch.manual_seed(seeds_of(replica, leg).weights)
        for layer in model.modules():
            if type(layer).__name__ in reset:
                layer.reset_parameters()
        if "optimizer" in reset:
            return TORCH[kind](model.parameters())
    return optimizer


RESETS = [
    [], ["Linear"], ["optimizer"], ["BatchNorm1d"], ["Linear", "BatchNorm1d"], ["Linear", "BatchNorm1d", "optimizer"],
]  # fmt: skip


@pytest.mark.parametrize("reset", RESETS, ids=lambda reset: "-".join(reset) or "nothing")
def test_a_chain_is_a_loop_over_the_folds(reset):
    replicas = chain_of(reset)
    outcomes = fit(replicas)
    assert [outcome.epochs.tolist() for outcome in outcomes] == [[EPOCHS, EPOCHS]] * FOLDS
    for r in range(2):
        model, optimizer = started(Small, r, "adam")
        for leg, splits in enumerate(folds_of(r)):
            optimizer = start_fold(model, optimizer, leg, r, reset, "adam")
            for epoch in range(1, EPOCHS + 1):
                train_epoch(model, optimizer, splits["train"], seeds_of(r, leg).epoch(epoch))
            # A bias before batch norm has gradient 0 but for rounding, which Adam divides by its epsilon of 1e-8.
            assert_same_weights(weights_after(replicas, leg, r), model, 1e-7)


class Convolutions(nn.Module):
    """A convolution up and one down, both with few weights, behind which a pair is compared."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 2, 3, stride=3), nn.ConvTranspose2d(2, 1, 2)
        self.norm, self.comparison, self.digits = nn.BatchNorm2d(1), nn.Linear(25, 2), nn.Linear(25, 20)
        self.double()

    def forward(self, pairs):
        features = self.norm(self.up(self.down(pairs).relu())).flatten(1)
        return {"target": self.comparison(features), "digits": self.digits(features).unflatten(1, (2, 10))}


@pytest.mark.parametrize("reset", [["Conv2d", "Linear"], ["ConvTranspose2d"], ["BatchNorm2d", "Conv2d"]], ids="-".join)
def test_other_kinds_of_layers_are_reset(reset):
    replicas = chain_of(reset, build=Convolutions, optimizer=LARGE_STEPS, count=1)
    fit(replicas)
    model, optimizer = started(Convolutions)
    for leg, splits in enumerate(folds_of(0)):
        optimizer = start_fold(model, optimizer, leg, 0, reset, "sgd")
        for epoch in range(1, EPOCHS + 1):
            train_epoch(model, optimizer, splits["train"], seeds_of(0, leg).epoch(epoch))
    assert_same_weights(weights_after(replicas, FOLDS - 1, 0), model)


@pytest.mark.parametrize("restore", ["always", "stopped"])
def test_a_chain_with_early_stopping(restore):
    """The next fold goes on with the best weights and the present optimiser; ``stopped``: if the patience ran out."""
    replicas = chain_of(
        [], optimizer=LARGE_STEPS, count=4, epochs=8, early_stopping={"patience": 3, "restore": restore}
    )
    outcomes, ran_out, ended = fit(replicas), set(), set()
    for r in range(4):
        model, optimizer = started(Small, r)
        for leg, splits in enumerate(folds_of(r)):
            least, best = float("inf"), 0
            for epoch in range(1, 9):
                model.train()
                train_epoch(model, optimizer, splits["train"], seeds_of(r, leg).epoch(epoch))
                with torch.no_grad():
                    every = torch.arange(len(splits["validation"].target))
                    loss = losses(model.eval()(splits["validation"].inputs), splits["validation"], every).item()
                if loss < least:
                    least, best, kept = loss, epoch, deepcopy(model.state_dict())
                if epoch - best >= 3:
                    break
            stopped = epoch - best >= 3
            ran_out.add(stopped)
            if stopped or restore == "always":
                model.load_state_dict(kept)
            ended.add(epoch - best)
            assert outcomes[leg].epochs[r] == epoch
            assert outcomes[leg].best_epoch[r] == (best if stopped or restore == "always" else epoch)
            assert_same_weights(weights_after(replicas, leg, r), model)
    assert ran_out == {True, False}, "the test tests one case only"
    assert ended & {1, 2}, "no training ended between its best epoch and the end of its patience"


def test_a_replica_may_join_a_later_fold():
    """As in the rounds that train the last fold alone: it starts from its own weights, and nothing is reset."""
    replicas = chain_of(["Linear"], count=2)
    for leg in (0, 1):
        replicas.legs[leg][1] = None
    first = LoopReplicas(
        Small, [[Assignment(folds_of(1)[2], seeds_of(1, 2))]], replicas.training, replicas.objective, "target"
    )
    both = LoopReplicas(Small, replicas.legs, replicas.training, replicas.objective, "target")
    fit(both), fit(first)
    for name, tensor in weights_after(first, 0, 0).items():
        assert torch.equal(weights_after(both, 2, 1)[name], tensor)


@pytest.mark.parametrize("restore", ["always", "stopped"])
@pytest.mark.parametrize("call", [2, 5, 6, 8])
def test_a_killed_chain_goes_on_bit_by_bit(tmp_path, call, restore):
    """Killed in a fold's first epoch or later, before the ``call``-th epoch of all folds."""

    def make():
        stopping = {"patience": 2, "restore": restore}
        return chain_of(["Linear"], early_stopping=stopping, curves=("train", "validation"))

    expected = make()
    uninterrupted = fit(expected)
    killed, calls = make(), []
    train_one = killed.train_epoch

    def until_the_kill(epoch, active):
        calls.append(epoch)
        if len(calls) == call:
            raise KilledError
        return train_one(epoch, active)

    killed.train_epoch = until_the_kill
    with pytest.raises(KilledError):
        fit(killed, Checkpoint(tmp_path / "c.safetensors", lambda: "key", interval=0))
    resumed = make()
    outcomes = fit(resumed, Checkpoint(tmp_path / "c.safetensors", lambda: "key", interval=0))
    for leg in range(FOLDS):
        for name, tensor in expected.finished[leg].items():
            assert torch.equal(resumed.finished[leg][name], tensor), (leg, name)
        assert without_time(outcomes[leg]) == without_time(uninterrupted[leg])
        for key in ("epochs", "best_epoch", "reason", "status"):
            assert list(getattr(outcomes[leg], key)) == list(getattr(uninterrupted[leg], key))


class Memory(nn.Module):
    """Enough hidden units to learn all pairs by heart."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(392, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, pairs):
        return {"target": self.layers(pairs)}


def noise(replica: int) -> list[dict[str, Split]]:
    """Four folds of 80 pairs whose labels are pure noise: nobody can know those of the validation pairs."""
    whole = made_up(replica, 80, torch.float32)["train"]
    labels = torch.randint(0, 2, (80,), generator=torch.Generator().manual_seed(1000 + replica))
    parts = [Split(whole.inputs[part], labels[part], whole.digits[part]) for part in torch.arange(80).split(20)]
    return [{"train": join(parts[:fold] + parts[fold + 1 :]), "validation": parts[fold]} for fold in range(4)]


LEAKS = {"chain": ([], True), "chain that is reset": (["Linear", "optimizer"], False), "no chain": (None, False)}


@pytest.mark.parametrize(("reset", "leaks"), LEAKS.values(), ids=LEAKS)
def test_only_a_chain_without_reset_knows_labels_of_noise(reset, leaks):
    """Its later folds have trained on their validation pairs; no other model can know these pairs' labels."""
    data, rounds = [noise(r) for r in range(10)], range(10)
    legs = [[Assignment(data[r][k], seeds_of(r, k), ("train", "validation")) for r in rounds] for k in range(4)]
    if reset is None:
        legs = [[part for leg in legs for part in leg]]
    training = settings(ADAM, epochs=20, batch_size=BATCH, chain=None if reset is None else {"reset": reset})
    outcomes = fit(LoopReplicas(Memory, legs, training, objective_of(target=1.0), "target"))
    accuracies = {(split, later): [] for split in ("train", "validation") for later in (False, True)}
    for leg, outcome in enumerate(outcomes):
        for row in outcome.history:
            if row["epoch"] == 20:
                accuracies[row["split"], leg > 0 or row["replica"] >= 10].append(row["accuracy"])
    mean = {key: sum(values) / len(values) for key, values in accuracies.items()}
    assert min(mean["train", False], mean["train", True]) > 0.95, "the labels of the training pairs are not learnt"
    # Four standard errors of coin flips: 10 rounds of 20 pairs in the first fold, three times as many in the later ones.
    assert abs(mean["validation", False] - 0.5) < 4 * (0.25 / 200) ** 0.5
    if leaks:
        assert mean["validation", True] > 0.85
    else:
        assert abs(mean["validation", True] - 0.5) < 4 * (0.25 / 600) ** 0.5


def test_what_is_not_reset_goes_on():
    """The test's own check: with and without reset, the later folds end with other weights."""
    ended = []
    for reset in ([], ["optimizer"], ["Linear"]):
        replicas = chain_of(reset, count=1)
        fit(replicas)
        ended.append(weights_after(replicas, 1, 0))
    assert differs(ended[0], ended[1])
    assert differs(ended[0], ended[2])

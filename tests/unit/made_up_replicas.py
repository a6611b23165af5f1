"""Replicas that are trained on made-up pairs or points, with one strategy or another."""

from functools import partial

import pytest
import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.spec.objectives import Objective
from twinbench.spec.training import Training
from twinbench.tasks.tensors import Split
from twinbench.training.loop import fit
from twinbench.training.replicas import Assignment, ReplicaSeeds

ADAM = {"name": "adam", "lr": 0.001, "decay": 0.9}
CPU = torch.device("cpu")


def objective_of(**weights) -> Objective:
    """The objective that a study's file writes like this."""
    return Objective(**weights)


def settings(optimizer, **changes) -> Training:
    return Training(**{"epochs": 2, "batch_size": 8, "optimizer": optimizer} | changes)


def made_up(replica, pairs, dtype, device=CPU):
    """Splits of random pairs in which a digit's row is brighter."""
    generator = torch.Generator().manual_seed(replica)

    def split():
        digits = torch.randint(0, 10, (pairs, 2), generator=generator)
        images = torch.randn(pairs, 2, 14, 14, generator=generator, dtype=dtype)
        images += 4 * nn.functional.one_hot(digits, 14).unsqueeze(-1)
        return Split(images.to(device), (digits[:, 0] <= digits[:, 1]).long().to(device), digits.to(device))

    return {"train": split(), "validation": split()}


def rings(points, seed, dtype=torch.float64):
    """A split of random points; the target is whether they are within 1 of the origin."""
    inputs = torch.randn(points, 2, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return Split(inputs, ((inputs**2).sum(1) < 1).long(), torch.full((points, 2), -1))


def seeds_of(number, leg=0):
    """The seeds of replica ``number`` in a leg: weights ``number``, epoch e ``100 · number + e``; 1000 more per leg."""
    weights, first = number + 1000 * leg, 100 * number + 1000 * leg
    return ReplicaSeeds(
        weights=weights, epoch=lambda epoch: first + epoch, evaluation=lambda epoch, split: 10_000 + first + epoch
    )


def replicas_of(strategy, build, data, training, objective, decision="target", first=0, curves=None):
    """Replicas with seeds of their own, the first of which is number ``first``; without ``curves``, of all splits."""
    numbered = enumerate(data, start=first)
    leg = [Assignment(splits, seeds_of(r), tuple(splits) if curves is None else curves) for r, splits in numbered]
    return strategy(build, [leg], training, objective, decision)


def fit_once(replicas, checkpoint=None):
    """Train replicas of one leg; return the outcome."""
    (outcome,) = fit(replicas, checkpoint)
    return outcome


def weights_of(replicas):
    """The weights (R, …) of trained replicas of one leg."""
    (weights,) = replicas.finished
    return weights


def train(
    strategy, name, *, count=3, pairs=20, dtype=torch.float64, device=CPU, optimizer=ADAM, data=None, options=None,
    **changes,
):  # fmt: skip
    """Train ``count`` replicas of an architecture, or of what a function makes; return replicas and outcome."""
    entry = architectures().get(name)
    build, heads = (partial(entry.build, **options or {}), entry.heads) if entry else (name, ["target"])
    data = data or [made_up(r, pairs, dtype, device) for r in range(count)]
    objective = objective_of(**{head: float(head in heads) for head in ("target", "digits")})
    decision = "target" if "target" in heads else "digits"
    replicas = replicas_of(
        strategy, lambda: build().to(dtype), data, settings(optimizer, **changes), objective, decision
    )
    return replicas, fit_once(replicas)


def assert_same(stacked, loop, tolerance):
    states = weights_of(stacked[0]), weights_of(loop[0])
    assert list(states[0]) == list(states[1])
    for key, expected in states[1].items():
        torch.testing.assert_close(states[0][key], expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert stacked[1].epochs.tolist() == loop[1].epochs.tolist()
    assert stacked[1].reason == loop[1].reason
    for ours, theirs in zip(stacked[1].history, loop[1].history, strict=True):
        assert list(ours) == list(theirs)
        numbers = [key for key in ours if key not in ("split", "seconds")]
        # float32 even here: accuracies are sums of 0 and 1
        assert [ours[key] for key in numbers] == pytest.approx([theirs[key] for key in numbers], rel=1e-6, nan_ok=True)


class KilledError(Exception):
    """Stands for a kill in the middle of a training."""


def killed_at(replicas, last):
    """Let replicas' training be killed as epoch ``last`` begins."""
    train_epoch = replicas.train_epoch

    def until_the_kill(epoch, active):
        if epoch == last:
            raise KilledError
        return train_epoch(epoch, active)

    replicas.train_epoch = until_the_kill
    return replicas


def without_time(outcome):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in outcome.history]

"""A training that was killed goes on as if nothing had happened, whatever the strategy."""

from functools import partial

import pytest
import torch

from tests.unit.made_up_replicas import (
    KilledError,
    fit_once,
    killed_at,
    made_up,
    objective_of,
    replicas_of,
    rings,
    settings,
    weights_of,
    without_time,
)
from twinbench.architectures.catalog import architectures
from twinbench.training.checkpoint import Checkpoint, training_key
from twinbench.training.loop import fit
from twinbench.training.replicas import LoopReplicas
from twinbench.training.scratch import ScratchReplicas
from twinbench.training.stacked.replicas import StackedReplicas

ADAM, MOMENTUM = {"name": "adam", "lr": 0.01}, {"name": "sgd", "lr": 0.1, "momentum": 0.9}
LARGE_STEPS = {"name": "sgd", "lr": 0.5}  # the validation loss goes up and down


def of_pairs(strategy, optimizer):
    """Make three twin LeNets with their data, as often as it is called."""
    data = [made_up(r, 60, torch.float32) for r in range(3)]
    training = settings(optimizer | {"decay": 0.9}, epochs=12, batch_size=32, early_stopping={"patience": 3})
    objective = objective_of(target=1.0, digits=1.0)
    return partial(replicas_of, strategy, architectures()["twin-lenet"].build, data, training, objective)


def of_points():
    """The same of nets of our own framework."""
    sizes = {"train": (100, 0), "validation": (50, 9)}
    data = [{name: rings(n, seed + r, torch.float32) for name, (n, seed) in sizes.items()} for r in range(3)]
    training = settings(LARGE_STEPS | {"decay": 0.9}, epochs=12, batch_size=10, early_stopping={"patience": 3})
    build = partial(architectures()["scratch-disc"].build, width=16)
    return partial(replicas_of, ScratchReplicas, build, data, training, objective_of(target=1.0))


MAKERS = {
    **{f"{strategy.name}, {optimizer['name']}": partial(of_pairs, strategy, optimizer)
       for strategy in (LoopReplicas, StackedReplicas) for optimizer in (ADAM, MOMENTUM)},
    "scratch": of_points,
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS.values(), ids=list(MAKERS))
def test_a_resumed_training_is_bit_identical(tmp_path, maker):
    make = maker()
    expected = make()
    uninterrupted = fit_once(expected)
    assert uninterrupted.epochs.max() > 6, "all end before the kill: the test tests nothing"

    killed = killed_at(make(), 6)
    with pytest.raises(KilledError):
        fit(killed, Checkpoint(tmp_path / "c.safetensors", lambda: "key", interval=0))
    resumed = make()
    outcome = fit_once(resumed, Checkpoint(tmp_path / "c.safetensors", lambda: "key", interval=0))

    for name, tensor in weights_of(expected).items():
        assert torch.equal(tensor, weights_of(resumed)[name]), name
    assert outcome.epochs.tolist() == uninterrupted.epochs.tolist()
    assert outcome.best_epoch.tolist() == uninterrupted.best_epoch.tolist()
    assert outcome.reason == uninterrupted.reason
    assert without_time(outcome) == without_time(uninterrupted)


def test_a_checkpoint_of_something_else_is_not_resumed(tmp_path):
    path, replicas = tmp_path / "c.safetensors", of_points()()
    fit(replicas, Checkpoint(path, lambda: "key", interval=0))
    assert Checkpoint(path, lambda: "key").load() is not None
    assert Checkpoint(path, lambda: "other key").load() is None
    path.write_bytes(path.read_bytes()[:-10])
    assert Checkpoint(path, lambda: "key").load() is None
    assert Checkpoint(tmp_path / "none", lambda: "key").load() is None


def test_the_key_follows_config_code_and_inputs(tmp_path):
    examples = tmp_path / "examples"
    keys = set()
    for content, cell, code in [
        (b"1", {"lr": 1}, "a"),
        (b"2", {"lr": 1}, "a"),
        (b"1", {"lr": 2}, "a"),
        (b"1", {"lr": 1}, "b"),
    ]:
        examples.write_bytes(content)
        keys.add(training_key(cell, code, examples))
    assert len(keys) == 4


def test_short_trainings_write_no_checkpoint_and_do_not_read_their_inputs_for_its_key(tmp_path):
    replicas = of_points()()
    fit(replicas, Checkpoint(tmp_path / "c.safetensors", lambda: pytest.fail("the key was made")))
    assert list(tmp_path.iterdir()) == []

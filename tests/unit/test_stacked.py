"""Replicas trained all at once against the same replicas one at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.made_up_replicas import ADAM, assert_same, made_up, train, weights_of
from twinbench.architectures.catalog import architectures
from twinbench.spec.objectives import Stage
from twinbench.spec.training import Optimizer
from twinbench.training.checkpoint import Checkpoint
from twinbench.training.optimizers import make_optimizer
from twinbench.training.replicas import LoopReplicas, set_trained_parts
from twinbench.training.stacked.layers import StackedTwin
from twinbench.training.stacked.replicas import StackedReplicas

# Those that a framework of its own trains are not stacked.
NAMES = sorted(name for name, entry in architectures().items() if not entry.strategy)
MOMENTUM = {"name": "sgd", "lr": 0.01, "momentum": 0.8, "decay": 0.9}
LARGE_STEPS = {"name": "sgd", "momentum": 0.9, "decay": 1.0}  # the validation loss goes up and down


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM], ids=["adam", "momentum"])
@pytest.mark.parametrize("name", NAMES)
def test_stacked_is_the_loop(name, optimizer):
    # Dropout included: on a processor, a replica draws the same masks either way. Six steps in float64; sums in another
    # order differ by 1e-16, and Adam divides them by gradients that can be as small as its epsilon of 1e-8.
    size = {"count": 2, "pairs": 8, "batch_size": 4, "epochs": 1} if name.startswith("resnet18") else {}
    stacked, loop = (train(strategy, name, optimizer=optimizer, **size) for strategy in (StackedReplicas, LoopReplicas))
    assert_same(stacked, loop, 1e-8)


@pytest.mark.parametrize(
    ("name", "batch_size"),
    [("dense-twin", 1), ("dense-twin", 8), ("conv-twin", 8), ("parameter-budget", 8), ("twin-lenet", 8)],
)
def test_stacked_separate_branches_are_the_loops(name, batch_size):
    settings = {"options": {"shared": False}, "batch_size": batch_size}
    stacked, loop = (train(strategy, name, **settings) for strategy in (StackedReplicas, LoopReplicas))
    assert_same(stacked, loop, 1e-8)
    as_one = any(isinstance(module, StackedTwin) for module in stacked[0].model.modules())
    assert as_one == (name in ("dense-twin", "conv-twin"))  # the others have dropout


@pytest.mark.parametrize("name", NAMES)
def test_a_step_in_float32_is_the_loops(name):
    # Other kernels compute float32 than float64. One step of SGD with a rate of 1, without momentum: what it changes are
    # gradients, which sum hundreds of products in other orders. As vectors they agree to a thousandth of their
    # length, or to 1e-5 an element where, as before a batch norm, they would be 0. ResNet-18's last batch norms see 16
    # rows of one pixel, which magnifies rounding: 0.7 % was seen.
    share = 0.02 if name.startswith("resnet18") else 0.001
    settings = {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0, "decay": 1.0}, "epochs": 1, "batch_size": 8}
    build = architectures()[name].build
    trained = [
        weights_of(train(strategy, name, count=2, pairs=8, dtype=torch.float32, **settings)[0])
        for strategy in (StackedReplicas, LoopReplicas)
    ]
    for r in range(2):
        torch.manual_seed(r)
        for key, parameter in build().named_parameters():
            stacked, loop = (parameter.detach() - state[key][r] for state in trained)
            difference, length = (stacked - loop).norm().item(), loop.norm().item()
            assert difference <= share * length + 1e-5 * loop.numel() ** 0.5, key


@pytest.mark.parametrize("name", ["dense-twin", "twin-lenet", "parameter-budget"])
def test_a_replica_does_not_depend_on_how_many_are_stacked(name):
    # In float64, to the last digit: 1e-12. Dropout draws from each replica's own seed.
    data = [made_up(r, 20, torch.float64) for r in range(5)]
    together, few = (weights_of(train(StackedReplicas, name, data=some)[0]) for some in (data, data[:2]))
    for key, tensor in few.items():
        torch.testing.assert_close(together[key][:2], tensor, rtol=1e-12, atol=1e-12)


STOPPING = pytest.mark.parametrize(
    ("name", "options", "lr"), [("twin-lenet", {}, 0.3), ("dense-twin", {"shared": False}, 0.1)]
)


def stopping(options, lr):
    """Settings with which replicas stop early, each at an epoch of its own."""
    changes = {"epochs": 12, "early_stopping": {"patience": 2}, "count": 4, "options": options}
    return changes | {"optimizer": LARGE_STEPS | {"lr": lr}}


@STOPPING
def test_replicas_stop_early_at_epochs_of_their_own(name, options, lr):
    stacked, loop = (train(strategy, name, **stopping(options, lr)) for strategy in (StackedReplicas, LoopReplicas))
    assert len(set(loop[1].epochs.tolist())) > 1, "all stop together: the test tests nothing"
    assert stacked[1].best_epoch.tolist() == loop[1].best_epoch.tolist()
    assert_same(stacked, loop, 1e-6)  # more and larger steps: rounding grows from step to step


def test_a_replica_that_ended_keeps_its_weights():
    replicas, _ = train(StackedReplicas, "twin-lenet")
    before = {name: tensor.clone() for name, tensor in replicas.weights(1).items()}
    replicas.train_epoch(2, np.array([True, False, True]))
    for name, tensor in replicas.weights(1).items():
        assert torch.equal(tensor, before[name])
    assert replicas.members.tolist() == [0, 2]
    assert not torch.equal(replicas.weights(2)["branch.branches.0.3.weight"], before["branch.branches.0.3.weight"])


def test_divergence_leaves_the_others_alone():
    data = [made_up(r, 20, torch.float64) for r in range(3)]
    data[1]["train"].inputs[0, 0, 0, 0] = torch.nan
    stacked, loop = (train(strategy, "twin-lenet", data=data) for strategy in (StackedReplicas, LoopReplicas))
    assert stacked[1].status == ["ok", "diverged", "ok"]
    assert_same(stacked, loop, 1e-8)


@STOPPING
def test_a_checkpoint_after_some_ended_is_resumed_bit_identically(tmp_path, name, options, lr):
    changes = stopping(options, lr)
    _, outcome = train(StackedReplicas, name, **changes)
    stopped, _ = train(StackedReplicas, name, **changes | {"epochs": int(outcome.epochs.min()) + 1})
    assert stopped.ended
    Checkpoint(tmp_path / "c.safetensors", lambda: "key").save(stopped.checkpoint(), {})
    tensors, _ = Checkpoint(tmp_path / "c.safetensors", lambda: "key").load()
    resumed, _ = train(StackedReplicas, name, **changes | {"epochs": 1})
    resumed.resume(tensors)
    for replicas in (stopped, resumed):
        replicas.train_epoch(1, np.isin(range(4), stopped.members))
    for key, tensor in stopped.checkpoint().items():
        assert torch.equal(resumed.checkpoint()[key], tensor), key


def on_meta(name, **changes):
    """Stacked replicas that ended an epoch on a processor, and are then moved to torch's meta device, and a batch there.

    Tensors of the meta device have shapes and no values: an operation whose result a program waits for fails.
    """
    replicas, _ = train(StackedReplicas, name, dtype=torch.float32, epochs=1, **changes)
    replicas.model.to("meta")
    replicas.optimizer = make_optimizer(replicas.model.parameters(), Optimizer(**ADAM))
    set_trained_parts(replicas.model, None)
    split = replicas.splits["train"]
    return replicas, tuple(tensor.to("meta") for tensor in (split.inputs, split.target, split.digits))


ONE_PAIR = {"pairs": 1, "batch_size": 1, "options": {"shared": False}}


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in NAMES), ("dense-twin", ONE_PAIR)])
def test_no_step_waits_for_a_value(name, changes):
    replicas, batch = on_meta(name, **changes)
    replicas._step_through([batch, batch], Stage(dict.fromkeys(architectures()[name].heads, 1.0), None))
    assert all(moment.is_meta for moment in replicas.optimizer.first)


def test_a_step_that_waits_for_a_value_is_found():
    replicas, batch = on_meta("dense-twin")
    replicas.model.register_forward_hook(
        lambda _, __, heads: {head: x * float(x.detach().max()) for head, x in heads.items()}
    )
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        replicas._step_through([batch], Stage({"target": 1.0}, None))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_a_gpu():
    replicas, _ = train(StackedReplicas, "twin-lenet", device=torch.device("cuda"), epochs=1)
    split = replicas.splits["train"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        replicas._step_through(
            [(split.inputs, split.target, split.digits)] * 2, Stage({"target": 1.0, "digits": 1.0}, None)
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert replicas.optimizer.counts.tolist() == [5.0] * len(
        replicas.optimizer.steps
    )  # 20 pairs in batches of 8, and 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["dense-twin", "twin-lenet", "siamese-classes-selu"])
def test_stacked_is_the_loop_on_a_gpu(name, monkeypatch):
    # A GPU's dropout draws in another order when stacked: none here.
    monkeypatch.setattr(nn.Dropout, "__init__", lambda self, _: super(nn.Dropout, self).__init__(0.0))
    stacked, loop = (train(strategy, name, device=torch.device("cuda")) for strategy in (StackedReplicas, LoopReplicas))
    assert_same(stacked, loop, 1e-8)

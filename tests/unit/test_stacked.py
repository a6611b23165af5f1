"""Replicas trained all at once against the same replicas one at a time."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.architectures.stacked_layers import StackedTwin, StackError
from twinbench.architectures.stacking import stack
from twinbench.architectures.twin import Twin
from twinbench.data.tensors import Split
from twinbench.training.checkpoint import Checkpoint
from twinbench.training.loop import fit
from twinbench.training.optimizers import make_optimizer
from twinbench.training.replicas import LoopReplicas, ReplicaSeeds, set_trained_parts
from twinbench.training.stacked import StackedReplicas
from twinbench.training.strategies import choose

ADAM = {"name": "adam", "lr": 0.001, "decay": 0.9}
MOMENTUM = {"name": "sgd", "lr": 0.01, "momentum": 0.8, "decay": 0.9}
LARGE_STEPS = {"name": "sgd", "momentum": 0.9, "decay": 1.0}  # the validation loss goes up and down
CPU = torch.device("cpu")


def made_up(replica, pairs, dtype, device=CPU):
    """Splits of random pairs in which a digit's row is brighter."""
    generator = torch.Generator().manual_seed(replica)

    def split():
        digits = torch.randint(0, 10, (pairs, 2), generator=generator)
        images = torch.randn(pairs, 2, 14, 14, generator=generator, dtype=dtype)
        images += 4 * nn.functional.one_hot(digits, 14).unsqueeze(-1)
        return Split(images.to(device), (digits[:, 0] <= digits[:, 1]).long().to(device), digits.to(device))

    return {"train": split(), "validation": split()}


def train(
    strategy, name, *, count=3, pairs=20, dtype=torch.float64, device=CPU, optimizer=ADAM, data=None, options=None,
    **changes,
):  # fmt: skip
    """Train ``count`` replicas of an architecture, or of what a function makes; return replicas and outcome."""
    entry = architectures().get(name)
    build, heads = (partial(entry.build, **options or {}), entry.heads) if entry else (name, ["target"])
    data = data or [made_up(r, pairs, dtype, device) for r in range(count)]
    training = {"epochs": 2, "batch_size": 8, "optimizer": optimizer, "early_stopping": None} | changes
    objective = {head: float(head in heads) for head in ("target", "digits")}
    seeds = [ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 100 * r + epoch) for r in range(len(data))]
    decision = "target" if "target" in heads else "digits"
    replicas = strategy(lambda: build().to(dtype), data, seeds, training, objective, decision)
    return replicas, fit(replicas, list(data[0]))


def assert_same(stacked, loop, tolerance):
    states = stacked[0].state(), loop[0].state()
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


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM], ids=["adam", "momentum"])
@pytest.mark.parametrize("name", sorted(architectures()))
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


def branch(*, drop=0.0, norm=nn.Identity):
    """A branch without dropout, or with it in two places: in one, masks would be the same in any order of drawing."""
    dropouts = [nn.Dropout(drop)] * bool(drop)
    return nn.Sequential(nn.Flatten(), *dropouts, nn.Linear(196, 12), norm(), nn.ReLU(), *dropouts, nn.Linear(12, 10))


class Net(nn.Module):
    """A twin of two separate branches and one dense layer, as an architecture has them."""

    def __init__(self, *branches):
        super().__init__()
        self.branch = Twin(iter(branches).__next__, shared=False)
        self.comparison = nn.Linear(20, 2)

    def forward(self, pairs):
        return {"target": self.comparison(self.branch(pairs).flatten(1))}


def in_common():
    layer = nn.Linear(10, 10)
    return Net(*(nn.Sequential(branch(), layer) for _ in range(2)))


@pytest.mark.parametrize(
    ("build", "as_one"),
    [
        (lambda: Net(branch(), branch()), True),
        (lambda: Net(branch(norm=lambda: nn.BatchNorm1d(12)), branch(norm=lambda: nn.BatchNorm1d(12))), True),
        (lambda: Net(branch(drop=0.5), branch(drop=0.5)), False),
        (lambda: Net(branch(), branch(norm=nn.ELU)), False),
        (in_common, False),
    ],
    ids=["plain", "batch norm", "dropout", "two structures", "a common layer"],
)
def test_branches_are_stacked_as_one_where_that_changes_nothing(build, as_one):
    stacked, loop = (train(strategy, build, count=2) for strategy in (StackedReplicas, LoopReplicas))
    assert any(isinstance(module, StackedTwin) for module in stacked[0].model.modules()) == as_one
    assert_same(stacked, loop, 1e-8)


@pytest.mark.parametrize("name", sorted(architectures()))
def test_a_step_in_float32_is_the_loops(name):
    # Other kernels compute float32 than float64. One step of SGD with a rate of 1, without momentum: what it changes are
    # gradients, which sum hundreds of products in other orders. As vectors they agree to a thousandth of their
    # length, or to 1e-5 an element where, as before a batch norm, they would be 0. ResNet-18's last batch norms see 16
    # rows of one pixel, which magnifies rounding: 0.7 % was seen.
    share = 0.02 if name.startswith("resnet18") else 0.001
    settings = {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0, "decay": 1.0}, "epochs": 1, "batch_size": 8}
    build = architectures()[name].build
    trained = [
        train(strategy, name, count=2, pairs=8, dtype=torch.float32, **settings)[0].state()
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
    together, few = (train(StackedReplicas, name, data=some)[0].state() for some in (data, data[:2]))
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
    data[1]["train"].pairs[0, 0, 0, 0] = torch.nan
    stacked, loop = (train(strategy, "twin-lenet", data=data) for strategy in (StackedReplicas, LoopReplicas))
    assert stacked[1].status == ["ok", "diverged", "ok"]
    assert_same(stacked, loop, 1e-8)


@STOPPING
def test_a_checkpoint_after_some_ended_is_resumed_bit_identically(tmp_path, name, options, lr):
    changes = stopping(options, lr)
    _, outcome = train(StackedReplicas, name, **changes)
    stopped, _ = train(StackedReplicas, name, **changes | {"epochs": int(outcome.epochs.min()) + 1})
    assert stopped.ended
    Checkpoint(tmp_path / "c.safetensors", "key").save(stopped.checkpoint(), {})
    tensors, _ = Checkpoint(tmp_path / "c.safetensors", "key").load()
    resumed, _ = train(StackedReplicas, name, **changes | {"epochs": 1})
    resumed.resume(tensors)
    for replicas in (stopped, resumed):
        replicas.train_epoch(1, np.isin(range(4), stopped.members))
    for key, tensor in stopped.checkpoint().items():
        assert torch.equal(resumed.checkpoint()[key], tensor), key


class Reordering(nn.Module):
    """All left images before all right ones: the rows of two replicas would mix."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(196, 2)

    def forward(self, pairs):
        left, right = self.layer(torch.cat([pairs[:, 0], pairs[:, 1]]).flatten(1)).chunk(2)
        return {"target": left + right}


class Scaled(nn.Module):
    """A parameter that no stacked layer holds."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, pairs):
        return {"target": pairs[:, :, 0, 0] * self.scale}


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(196, 196), nn.Linear(196, 196)
        self.second.weight = self.first.weight

    def forward(self, pairs):
        return {"target": self.second(self.first(pairs[:, 0].flatten(1)))[:, :2]}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Reordering, "mixes or reorders"),
        (Scaled, "no stacked form of Scaled"),
        (Tied, "share a parameter"),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 1, groups=2)), "no stacked form of Conv2d"),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 1), nn.AlphaDropout(0.5)), "no stacked form of AlphaDropout"),
    ],
)
def test_what_cannot_be_stacked_is_named_and_trained_in_a_loop(build, message):
    with pytest.raises(StackError, match=message):
        stack([build(), build()])
    assert choose(build, torch.device("cuda"), 1) is LoopReplicas


def test_the_choice():
    build = {name: entry.build for name, entry in architectures().items()}
    assert choose(build["dense-twin"], CPU, 1) is StackedReplicas
    assert choose(build["mlp-selu"], CPU, 128) is StackedReplicas
    assert choose(build["dense-twin"], CPU, 1000) is LoopReplicas
    assert choose(build["twin-lenet"], CPU, 128) is LoopReplicas
    assert choose(build["twin-lenet"], torch.device("cuda"), 128) is StackedReplicas


def on_meta(name, **changes):
    """Stacked replicas that ended an epoch on a processor, and are then moved to torch's meta device, and a batch there.

    Tensors of the meta device have shapes and no values: an operation whose result a program waits for fails.
    """
    replicas, _ = train(StackedReplicas, name, dtype=torch.float32, epochs=1, **changes)
    replicas.model.to("meta")
    replicas.optimizer = make_optimizer(replicas.model.parameters(), ADAM)
    set_trained_parts(replicas.model, None)
    split = replicas.splits["train"]
    return replicas, tuple(tensor.to("meta") for tensor in (split.pairs, split.target, split.digits))


ONE_PAIR = {"pairs": 1, "batch_size": 1, "options": {"shared": False}}


@pytest.mark.parametrize(
    ("name", "changes"), [*((name, {}) for name in sorted(architectures())), ("dense-twin", ONE_PAIR)]
)
def test_no_step_waits_for_a_value(name, changes):
    replicas, batch = on_meta(name, **changes)
    replicas._step_through([batch, batch], dict.fromkeys(architectures()[name].heads, 1.0))
    assert all(moment.is_meta for moment in replicas.optimizer.first)


def test_a_step_that_waits_for_a_value_is_found():
    replicas, batch = on_meta("dense-twin")
    replicas.model.register_forward_hook(
        lambda _, __, heads: {head: x * float(x.detach().max()) for head, x in heads.items()}
    )
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        replicas._step_through([batch], {"target": 1.0})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_a_gpu():
    replicas, _ = train(StackedReplicas, "twin-lenet", device=torch.device("cuda"), epochs=1)
    split = replicas.splits["train"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        replicas._step_through([(split.pairs, split.target, split.digits)] * 2, {"target": 1.0, "digits": 1.0})
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

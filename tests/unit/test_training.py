"""The training loop against plain PyTorch, and what it promises about seeds, stopping and divergence."""

import inspect
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.data.pairs import draw_pairs
from twinbench.data.tensors import Split, load_splits
from twinbench.training.cell import _seeds
from twinbench.training.checkpoint import Checkpoint, training_key
from twinbench.training.early_stopping import EarlyStopping
from twinbench.training.loop import fit
from twinbench.training.optimizers import make_optimizer
from twinbench.training.replicas import LoopReplicas, ReplicaSeeds, evaluate_model
from twinbench.training.stacked.replicas import StackedReplicas

TRAINING = {
    "epochs": 3,
    "batch_size": 32,
    "optimizer": {"name": "adam", "lr": 0.01, "momentum": 0.0, "decay": 1.0},
    "early_stopping": None,
}
OBJECTIVE = {"target": 1.0, "digits": 1.0}


@pytest.fixture(scope="module")
def data(labels, digits_file):
    table = draw_pairs(labels, {"train": 100, "validation": 50, "test": 50}, None, seed=0, study="s", rounds=range(3))
    return list(load_splits(digits_file, table, "all", torch.device("cpu")).values())


@pytest.fixture(params=[LoopReplicas, StackedReplicas], ids=["loop", "stacked"])
def strategy(request):
    return request.param


def replicas(
    data, build=None, training=TRAINING, objective=OBJECTIVE, decision="target", first=0, strategy=LoopReplicas
):
    build = build or architectures()["twin-lenet"].build
    seeds = [
        ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 1000 * r + epoch) for r in range(first, first + len(data))
    ]
    return strategy(build, data, seeds, training, objective, decision)


def run(data, training=None, **options):
    trained = replicas(data, training=TRAINING | (training or {}), **options)
    return trained, fit(trained, list(data[0]))


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"name": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.1)),
        ({"name": "sgd", "lr": 0.01, "momentum": 0.8}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8)),
    ],
    ids=["adam", "sgd", "momentum"],
)
def test_training_is_the_textbook_loop(data, settings, reference, strategy):
    # In float64: Adam divides by the gradient's size, which blows float32's rounding of the smallest ones up to steps.
    def build():
        return architectures()["twin-lenet"].build().double()

    double = {name: Split(split.pairs.double(), split.target, split.digits) for name, split in data[0].items()}
    trained, _ = run([double], strategy=strategy, build=build, training={"optimizer": settings | {"decay": 0.7}})

    split = double["train"]
    torch.manual_seed(0)
    model = build()
    optimizer = reference(model.parameters())
    for epoch in (1, 2, 3):
        torch.manual_seed(epoch)
        model.train()
        optimizer.param_groups[0]["lr"] = settings["lr"] * 0.7 ** (epoch - 1)
        order = torch.randperm(100)
        for start in range(0, 100, 32):
            batch = order[start : start + 32]
            heads = model(split.pairs[batch])
            loss = nn.functional.cross_entropy(heads["target"], split.target[batch])
            loss = loss + nn.functional.cross_entropy(heads["digits"][:, 0], split.digits[batch, 0])
            loss = loss + nn.functional.cross_entropy(heads["digits"][:, 1], split.digits[batch, 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, expected in model.state_dict().items():
        # The digit losses are averaged in another order. The bias before a batch norm has gradient 0 but for rounding,
        # about 1e-17, which Adam divides by its epsilon of 1e-8 and takes twelve times: 1e-8, times lr.
        torch.testing.assert_close(trained.state()[name][0], expected, atol=1e-7, rtol=1e-7)


def test_same_seed_same_weights(data, strategy):
    first, second = run(data, strategy=strategy)[0].state(), run(data, strategy=strategy)[0].state()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_replica_does_not_depend_on_the_others(data):
    together = run(data)[0].state()
    alone = run(data[1:2], first=1)[0].state()
    assert all(torch.equal(together[name][1], alone[name][0]) for name in alone)


def test_history_has_a_row_for_every_replica_epoch_and_split(data, strategy):
    trained, outcome = run(data, strategy=strategy)
    assert len(outcome.history) == 3 * 3 * 3
    last = [row for row in outcome.history if row["epoch"] == 3 and row["replica"] == 2 and row["split"] == "test"]
    model = architectures()["twin-lenet"].build().eval()
    model.load_state_dict(trained.weights(2))
    heads = model(data[2]["test"].pairs)
    right = (heads["target"].argmax(-1) == data[2]["test"].target).float().mean()
    assert last[0]["accuracy"] == pytest.approx(right.item())
    assert last[0]["loss"] == pytest.approx(last[0]["target_loss"] + last[0]["digits_loss"], rel=1e-6)
    assert (outcome.train_seconds > 0).all()


def test_an_easy_task_is_learnt(data, strategy):
    # A bright row gives each digit away; guessing gets about 55%.
    _, outcome = run(
        data,
        strategy=strategy,
        training={"epochs": 30},
        build=architectures()["siamese-classes-selu"].build,
        objective={"target": 0.0, "digits": 1.0},
        decision="digits",
    )
    final = [row["accuracy"] for row in outcome.history if row["epoch"] == 30 and row["split"] == "test"]
    assert min(final) > 0.9


def test_early_stopping_by_hand():
    stopping = EarlyStopping(replicas=2, patience=2)
    active = np.array([True, True])
    losses = [[3.0, 3.0], [2.0, 4.0], [2.5, 5.0], [2.0, 1.0]]  # an equal loss, 2.0, is no improvement
    seen = [stopping.update(epoch, np.array(row), active) for epoch, row in enumerate(losses, start=1)]
    assert [improved.tolist() for improved, _ in seen] == [[True, True], [True, False], [False, False], [False, True]]
    assert [ended.tolist() for _, ended in seen] == [[False, False], [False, False], [False, True], [True, False]]
    assert stopping.best_epoch.tolist() == [2, 4]


def test_early_stopping_restores_the_best_weights(data, strategy):
    sgd = {"name": "sgd", "lr": 0.3, "momentum": 0.9, "decay": 1.0}  # large steps: the validation loss goes up and down
    trained, outcome = run(
        data, strategy=strategy, training={"epochs": 25, "optimizer": sgd, "early_stopping": {"patience": 3}}
    )
    losses = {}
    for row in outcome.history:
        if row["split"] == "validation":
            losses.setdefault(row["replica"], []).append(row["loss"])
    for r, of_replica in losses.items():
        best = int(np.argmin(of_replica))
        assert outcome.best_epoch[r] == best + 1
        assert outcome.epochs[r] == min(best + 1 + 3, 25)
        restored = architectures()["twin-lenet"].build()
        restored.load_state_dict({name: tensor[r] for name, tensor in trained.state().items()})
        (score,) = evaluate_model(restored, data[r]["validation"].batches(50), OBJECTIVE, "target")
        assert score["loss"] == pytest.approx(min(of_replica), rel=1e-5)
    assert outcome.epochs.min() < 25, "no replica stopped: the test tests nothing"


HAND_OVER = {"target": {"start": 0.0, "end": 1.0}, "digits": {"start": 1.0, "end": 0.0}, "phases": None}
TWO_PHASES = {
    "phases": [
        {"share": 0.5, "target": 0.0, "digits": 1.0, "train": ["branch", "digits"]},
        {"share": 0.5, "target": 1.0, "digits": 0.0, "train": ["comparison"]},
    ]
}


def test_the_history_holds_the_weights_of_each_epoch(data, strategy):
    _, outcome = run(data[:1], strategy=strategy, training={"epochs": 4}, objective=HAND_OVER)
    rows = [row for row in outcome.history if row["split"] == "test"]
    assert [row["digits_weight"] for row in rows] == [1, 0.75, 0.5, 0.25]
    assert [row["target_weight"] for row in rows] == [0, 0.25, 0.5, 0.75]
    for row in rows:
        parts = row["target_weight"] * row["target_loss"] + row["digits_weight"] * row["digits_loss"]
        assert row["loss"] == pytest.approx(parts, rel=1e-5)  # float32


def test_a_phase_trains_what_it_says_and_freezes_the_rest(data, strategy):
    build = architectures()["lenet-two-heads"].build
    trained = replicas(
        data[:1], strategy=strategy, build=build, training=TRAINING | {"epochs": 4}, objective=TWO_PHASES
    )
    states = [{name: tensor.clone() for name, tensor in trained.weights(0).items()}]
    for epoch in (1, 2, 3, 4):
        trained.train_epoch(epoch, np.array([True]))
        states.append({name: tensor.clone() for name, tensor in trained.weights(0).items()})
    for epoch, (before, after) in enumerate(pairwise(states), start=1):
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == ({"branch", "digits"} if epoch <= 2 else {"comparison"})
        same = {name.split(".")[0] for name in before if torch.equal(before[name], after[name])}
        assert not changed & same, "part of a trained module stood still"


def test_what_is_frozen_keeps_its_batch_norm_statistics(data, strategy):
    phases = {"phases": [TWO_PHASES["phases"][1] | {"share": 1.0}]}
    trained = replicas(data[:1], strategy=strategy, objective=phases)  # the twin LeNet's branch has a batch norm
    statistics = [name for name in trained.weights(0) if "running" in name]
    before = {name: trained.weights(0)[name].clone() for name in statistics}
    trained.train_epoch(1, np.array([True]))
    changed = {name.split(".")[0] for name in statistics if not before[name].equal(trained.weights(0)[name])}
    assert changed == {"comparison"}


def test_divergence_is_recorded_and_stops_only_its_replica(data, strategy):
    broken = dict(data[1])
    pairs = broken["train"].pairs.clone()
    pairs[0, 0, 0, 0] = float("nan")
    broken["train"] = Split(pairs, broken["train"].target, broken["train"].digits)
    _, outcome = run([data[0], broken, data[2]], strategy=strategy)
    assert outcome.status == ["ok", "diverged", "ok"]
    assert outcome.epochs.tolist() == [3, 1, 3]
    assert "epoch 1" in outcome.reason[1]


def test_optimizers_skip_parameters_without_gradient():
    for settings in ({"name": "adam", "lr": 0.1}, {"name": "sgd", "lr": 0.1, "momentum": 0.5}):
        used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        used.square().sum().backward()
        make_optimizer([used, unused], settings).step()
        assert (used < 1).all()
        assert (unused == 1).all()
        assert used.grad is None


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_first_gradient_may_come_late(momentum):
    """As in an objective whose target head has weight 0 at first."""
    ours, theirs = ([nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))] for _ in range(2))
    optimizers = (
        make_optimizer(ours, {"name": "sgd", "lr": 0.1, "momentum": momentum}),
        torch.optim.SGD(theirs, lr=0.1, momentum=momentum),
    )
    for used in (1, 2, 2):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            sum(parameter.square().sum() for parameter in parameters[:used]).backward()
            optimizer.step()
        optimizers[1].zero_grad()
        assert [p.tolist() for p in ours] == [pytest.approx(p.tolist(), rel=1e-6) for p in theirs]


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"name": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.5}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)),
    ],
)
def test_optimizers_of_weights_in_channels_last(settings, reference):
    torch.manual_seed(0)
    dense, weights = torch.randn(3), torch.randn(4, 3, 2, 2)
    ours = [nn.Parameter(dense), nn.Parameter(weights.contiguous(memory_format=torch.channels_last))]
    theirs = [nn.Parameter(dense.clone()), nn.Parameter(weights.clone())]
    factor = torch.randn(4, 3, 2, 2)
    for parameters, optimizer in ((ours, make_optimizer(ours, settings)), (theirs, reference(theirs))):
        for _ in range(3):
            (parameters[0].square().sum() + (parameters[1] * factor).square().sum()).backward()
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    assert ours[1].is_contiguous(memory_format=torch.channels_last)


def test_weights_in_channels_last_are_saved_in_the_default_layout(data, tmp_path):
    trained = replicas(data[:2], architectures()["conv-twin"].build)
    (first, large) = (layer.weight for layer in trained.models[0].modules() if isinstance(layer, nn.Conv2d))
    assert (first.is_contiguous(), large.is_contiguous()) == (True, False)
    save_file(trained.state(), tmp_path / "weights.safetensors")
    (name,) = (name for name, weight in trained.models[1].named_parameters() if weight.shape == large.shape)
    assert torch.equal(load_file(tmp_path / "weights.safetensors")[name][0], large)


class KilledError(Exception):
    """Stands for a kill in the middle of a training."""


@pytest.mark.parametrize("optimizer", [{"name": "adam", "lr": 0.01}, {"name": "sgd", "lr": 0.1, "momentum": 0.9}])
def test_a_resumed_training_is_bit_identical(data, tmp_path, optimizer, strategy):
    changes = {"epochs": 12, "optimizer": optimizer | {"decay": 0.9}, "early_stopping": {"patience": 3}}
    options = {"training": TRAINING | changes}
    expected, uninterrupted = run(data, strategy=strategy, **options)

    killed = replicas(data, strategy=strategy, **options)
    train_epoch = killed.train_epoch

    def until_the_kill(epoch, active):
        if epoch == 6:
            raise KilledError
        return train_epoch(epoch, active)

    killed.train_epoch = until_the_kill
    with pytest.raises(KilledError):
        fit(killed, list(data[0]), Checkpoint(tmp_path / "c.safetensors", "key", interval=0))
    resumed = replicas(data, strategy=strategy, **options)
    outcome = fit(resumed, list(data[0]), Checkpoint(tmp_path / "c.safetensors", "key", interval=0))

    for name, tensor in expected.state().items():
        assert torch.equal(tensor, resumed.state()[name]), name
    assert outcome.epochs.tolist() == uninterrupted.epochs.tolist()
    assert outcome.best_epoch.tolist() == uninterrupted.best_epoch.tolist()
    assert outcome.reason == uninterrupted.reason
    without_time = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in o.history] for o in (outcome, uninterrupted)
    ]
    assert without_time[0] == without_time[1]


def test_a_checkpoint_of_something_else_is_not_resumed(data, tmp_path):
    path = tmp_path / "c.safetensors"
    fit(replicas(data), list(data[0]), Checkpoint(path, "key", interval=0))
    assert Checkpoint(path, "key").load() is not None
    assert Checkpoint(path, "other key").load() is None
    path.write_bytes(path.read_bytes()[:-10])
    assert Checkpoint(path, "key").load() is None
    assert Checkpoint(tmp_path / "none", "key").load() is None


def test_the_key_follows_config_code_and_inputs(tmp_path):
    pairs = tmp_path / "pairs"
    keys = set()
    for content, cell, code in [
        (b"1", {"lr": 1}, "a"),
        (b"2", {"lr": 1}, "a"),
        (b"1", {"lr": 2}, "a"),
        (b"1", {"lr": 1}, "b"),
    ]:
        pairs.write_bytes(content)
        keys.add(training_key(cell, code, pairs))
    assert len(keys) == 4


def test_short_trainings_write_no_checkpoint(data, tmp_path):
    fit(replicas(data), list(data[0]), Checkpoint(tmp_path / "c.safetensors", "key"))
    assert list(tmp_path.iterdir()) == []


def test_seeds_differ_by_round_fold_and_study_and_not_by_model():
    weights = {_seeds(1, *axes, False).weights for axes in [("s", "0", 0), ("s", "0", 1), ("s", "1", 0), ("t", "0", 0)]}
    assert len(weights) == 4
    seeds = _seeds(1, "s", "0", 0, False)
    assert len({seeds.epoch(1), seeds.epoch(2), seeds.weights}) == 3
    fixed = [_seeds(1, "s", "all", round_, True) for round_ in (0, 1)]
    assert fixed[0].weights != fixed[1].weights
    assert fixed[0].epoch(3) == fixed[1].epoch(3)
    assert "model" not in inspect.signature(_seeds).parameters

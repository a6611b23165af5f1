"""The training loop against plain PyTorch, and what it promises about seeds, stopping and divergence."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.unit.made_up_replicas import CPU, fit_once, objective_of, replicas_of, weights_of
from twinbench.architectures.catalog import architectures
from twinbench.files import read_tensors
from twinbench.seeds import derive_seed
from twinbench.spec.objectives import Stage
from twinbench.spec.training import Cell, Inputs, Training
from twinbench.tasks import pairs
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.cell import _seeds
from twinbench.training.loop import EarlyStopping
from twinbench.training.objectives import evaluate_model
from twinbench.training.replicas import LoopReplicas
from twinbench.training.stacked.replicas import StackedReplicas

TRAINING = {"epochs": 3, "batch_size": 32, "optimizer": {"name": "adam", "lr": 0.01}}
OBJECTIVE = {"target": 1.0, "digits": 1.0}


@pytest.fixture(scope="module")
def data(labels, digits_file):
    counts = {"train": 100, "validation": 50, "test": 50}
    table = pairs.draw(range(3), labels=labels, counts=counts, folds=None, seed=0, study="s")
    inputs = Inputs(task="pairs", scaling="training")
    return list(load_splits(inputs, read_tensors(digits_file), table, "all", CPU).values())


@pytest.fixture(params=[LoopReplicas, StackedReplicas], ids=["loop", "stacked"])
def strategy(request):
    return request.param


def replicas(data, build=None, training=None, objective=OBJECTIVE, decision="target", first=0, strategy=LoopReplicas):
    build = build or architectures()["twin-lenet"].build
    training = Training(**TRAINING | (training or {}))
    return replicas_of(strategy, build, data, training, objective_of(**objective), decision, first)


def run(data, **options):
    trained = replicas(data, **options)
    return trained, fit_once(trained)


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

    double = {name: Split(split.inputs.double(), split.target, split.digits) for name, split in data[0].items()}
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
            heads = model(split.inputs[batch])
            loss = nn.functional.cross_entropy(heads["target"], split.target[batch])
            loss = loss + nn.functional.cross_entropy(heads["digits"][:, 0], split.digits[batch, 0])
            loss = loss + nn.functional.cross_entropy(heads["digits"][:, 1], split.digits[batch, 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, expected in model.state_dict().items():
        # The digit losses are averaged in another order. The bias before a batch norm has gradient 0 but for rounding,
        # about 1e-17, which Adam divides by its epsilon of 1e-8 and takes twelve times: 1e-8, times lr.
        torch.testing.assert_close(weights_of(trained)[name][0], expected, atol=1e-7, rtol=1e-7)


def test_same_seed_same_weights(data, strategy):
    first, second = (weights_of(run(data, strategy=strategy)[0]) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_replica_does_not_depend_on_the_others(data):
    together = weights_of(run(data)[0])
    alone = weights_of(run(data[1:2], first=1)[0])
    assert all(torch.equal(together[name][1], alone[name][0]) for name in alone)


def test_history_has_a_row_for_every_replica_epoch_and_split(data, strategy):
    trained, outcome = run(data, strategy=strategy)
    assert len(outcome.history) == 3 * 3 * 3
    last = [row for row in outcome.history if row["epoch"] == 3 and row["replica"] == 2 and row["split"] == "test"]
    model = architectures()["twin-lenet"].build().eval()
    model.load_state_dict(trained.weights(2))
    heads = model(data[2]["test"].inputs)
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
        restored.load_state_dict({name: tensor[r] for name, tensor in weights_of(trained).items()})
        (score,) = evaluate_model(restored.eval(), data[r]["validation"].batches(50), Stage(OBJECTIVE, None), "target")
        assert score["loss"] == pytest.approx(min(of_replica), rel=1e-5)
    assert outcome.epochs.min() < 25, "no replica stopped: the test tests nothing"


HAND_OVER = {"target": {"start": 0.0, "end": 1.0}, "digits": {"start": 1.0, "end": 0.0}}


def two_phases(*parts):
    """An objective that trains these parts by the digits, and then the comparison."""
    digits = {"share": 0.5, "target": 0.0, "digits": 1.0, "train": list(parts)}
    return {"phases": [digits, {"share": 0.5, "target": 1.0, "digits": 0.0, "train": ["comparison"]}]}


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
    parts = ("convolutions", "dense", "digits")
    objective = two_phases(*parts)
    trained = replicas(data[:1], strategy=strategy, build=build, training={"epochs": 4}, objective=objective)
    states = [{name: tensor.clone() for name, tensor in trained.weights(0).items()}]
    for epoch in (1, 2, 3, 4):
        trained.train_epoch(epoch, np.array([True]))
        states.append({name: tensor.clone() for name, tensor in trained.weights(0).items()})
    for epoch, (before, after) in enumerate(pairwise(states), start=1):
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == (set(parts) if epoch <= 2 else {"comparison"})
        same = {name.split(".")[0] for name in before if torch.equal(before[name], after[name])}
        assert not changed & same, "part of a trained module stood still"


def test_what_is_frozen_keeps_its_batch_norm_statistics(data, strategy):
    # The twin LeNet's branch has a batch norm.
    trained = replicas(data[:1], strategy=strategy, training={"epochs": 2}, objective=two_phases("branch"))
    statistics = [name for name in trained.weights(0) if "running" in name]
    before = {name: trained.weights(0)[name].clone() for name in statistics}
    trained.train_epoch(2, np.array([True]))
    changed = {name.split(".")[0] for name in statistics if not before[name].equal(trained.weights(0)[name])}
    assert changed == {"comparison"}


def test_divergence_is_recorded_and_stops_only_its_replica(data, strategy):
    broken = dict(data[1])
    inputs = broken["train"].inputs.clone()
    inputs[0, 0, 0, 0] = float("nan")
    broken["train"] = Split(inputs, broken["train"].target, broken["train"].digits)
    _, outcome = run([data[0], broken, data[2]], strategy=strategy)
    assert outcome.status == ["ok", "diverged", "ok"]
    assert outcome.epochs.tolist() == [3, 1, 3]
    assert "epoch 1" in outcome.reason[1]


def test_finite_weights_without_a_finite_loss_have_diverged(data, strategy):
    """One step of a huge size: no epoch follows it in which the weights would become NaN."""
    once = {"epochs": 1, "batch_size": 100, "optimizer": {"name": "sgd", "lr": 1e30}}
    trained, outcome = run(data[:2], strategy=strategy, training=once, objective={"target": 1.0, "digits": 0.0})
    assert all(tensor.isfinite().all() for tensor in weights_of(trained).values())
    assert outcome.status == ["diverged"] * 2
    assert outcome.reason == ["training loss not finite after epoch 1"] * 2


def test_weights_in_channels_last_are_saved_in_the_default_layout(data, tmp_path):
    trained, _ = run(data[:2], build=architectures()["conv-twin"].build, training={"epochs": 1})
    (first, large) = (layer.weight for layer in trained.models[0].modules() if isinstance(layer, nn.Conv2d))
    assert (first.is_contiguous(), large.is_contiguous()) == (True, False)
    save_file(weights_of(trained), tmp_path / "weights.safetensors")
    (name,) = (name for name, weight in trained.models[1].named_parameters() if weight.shape == large.shape)
    assert torch.equal(load_file(tmp_path / "weights.safetensors")[name][0], large)


def seeds(study="s", fold="0", round_=0, **changes):
    task = changes.pop("task", "pairs")
    cell = {"study": study, "model": "m", "seed": 1, "fixed_data": False, "parameter_budget": None, "options": {}}
    cell |= {"folds": ["0", "1"], "whole_rounds": None, "curves": {}}
    cell |= {"inputs": {"task": task, "scaling": "training"}, "architecture": "twin-lenet", "decision": "target"}
    return _seeds(Cell(**cell | {"objective": {"target": 1.0}, "training": TRAINING} | changes), fold, round_)


def test_seeds_differ_by_round_fold_and_study_and_not_by_model():
    axes = [("s", "0", 0), ("s", "0", 1), ("s", "1", 0), ("t", "0", 0)]
    assert len({seeds(*of_replica).weights for of_replica in axes}) == 4
    assert len({seeds().epoch(1), seeds().epoch(2), seeds().weights}) == 3
    fixed = [seeds("s", "all", round_, fixed_data=True) for round_ in (0, 1)]
    assert fixed[0].weights != fixed[1].weights
    assert fixed[0].epoch(3) == fixed[1].epoch(3)
    other = seeds(model="n", architecture="dense-twin", options={"shared": False})
    assert (other.weights, other.epoch(2)) == (seeds().weights, seeds().epoch(2))


def test_seeds_of_the_disc_are_the_same_for_all_its_studies():
    for study in ("disc", "disc.width"):
        found = seeds(study, "all", 3, task="disc")
        assert found.weights == derive_seed(1, study="scratch", round=3, purpose="weights")
        assert found.epoch(2) == derive_seed(1, study="scratch", round=3, purpose="epoch", epoch=2)

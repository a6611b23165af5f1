"""Options that concern a job's data, folds, curves and predictions, from the study to the reported numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.unit import studies
from tests.unit.jobs import run
from tests.unit.made_up_replicas import CPU, fit_once, objective_of, replicas_of, seeds_of, settings, weights_of
from tests.unit.plain_loop import BATCH, SGD, Small, assert_same_weights, losses, started, train_epoch
from twinbench.architectures.twin_lenet import TwinLeNet
from twinbench.evaluation.statistics import reported
from twinbench.files import read_tensors
from twinbench.spec.training import Cell, Inputs
from twinbench.tasks import pairs
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.cell import _seeds
from twinbench.training.replicas import LoopReplicas

FOLDS = {"pairs": {"train": 40, "test": 20}, "rounds": 2, "folds": 2}
HEADS = ("target", "digits")


def study_of(protocol=FOLDS, whole_rounds=None, reported_fold="best", **training):
    """A study of a twin LeNet, which has batch norm and dropout, with some options of the training."""
    optimizer = {"name": "sgd", "lr": 0.05, "momentum": 0.5}
    training = {"epochs": 3, "batch_size": 10, "optimizer": optimizer} | training
    model = studies.model(trained=HEADS, training=training, whole_rounds=whole_rounds, reported_fold=reported_fold)
    return studies.made_up({"m": model}, protocol)


def of_model(predictions):
    return predictions[predictions["model"] == "m"].reset_index(drop=True)


@pytest.fixture(scope="module")
def drawn(labels, digits_file):
    """A table of 24 training, 16 validation and 16 test pairs, and the images."""
    counts = {"train": 24, "validation": 16, "test": 16}
    table = pairs.draw(range(1), labels=labels, counts=counts, folds=None, seed=1, study="s")
    return table, read_tensors(digits_file)


def scaled_by_hand(drawn, scaling):
    """Each split's pairs (N, 2, 14, 14), float64."""
    table, images = drawn
    found = {}
    for name in ("train", "validation", "test"):
        rows, part = table[table["split"] == name], "test" if name == "test" else "train"
        sides = [images[f"{part}_images"][rows[f"{side}_index"].tolist()] for side in ("left", "right")]
        found[name] = torch.stack(sides, dim=1).double()
    if scaling == "raw":
        return found
    by = {name: found["train" if scaling == "training" else name] for name in found}
    return {name: (found[name] - by[name].mean()) / by[name].std() for name in found}


@pytest.mark.parametrize("scaling", ["training", "split", "raw"])
def test_scaling(drawn, scaling):
    """Every split as scaled by hand, and 21 steps on the training pairs; images and their scaling are float32."""
    expected = scaled_by_hand(drawn, scaling)
    loaded = load_splits(Inputs(task="pairs", scaling=scaling), drawn[1], drawn[0], "all", CPU)[0]
    for name, split in loaded.items():
        torch.testing.assert_close(split.inputs.double(), expected[name], rtol=1e-5, atol=1e-5)
    double = {name: Split(split.inputs.double(), split.target, split.digits) for name, split in loaded.items()}
    training = settings(SGD, epochs=7, batch_size=BATCH)
    replicas = replicas_of(LoopReplicas, Small, [double], training, objective_of(target=1.0, digits=1.0))
    fit_once(replicas)
    model, optimizer = started(Small)
    by_hand = Split(expected["train"], loaded["train"].target, loaded["train"].digits)
    for epoch in range(1, 8):
        train_epoch(model, optimizer, by_hand, seeds_of(0).epoch(epoch))
    # Rounding of the inputs, 1e-7 of up to 255, in 21 steps.
    assert_same_weights({name: tensor[0] for name, tensor in weights_of(replicas).items()}, model, 1e-3)


def test_scalings_differ(drawn):
    train, split = (scaled_by_hand(drawn, scaling) for scaling in ("training", "split"))
    assert torch.equal(train["train"], split["train"])
    assert not torch.allclose(train["test"], split["test"], rtol=1e-3)


class CalledTwice(TwinLeNet):
    """The branch is called for the left images, then for the right ones."""

    def forward(self, pairs):
        (branch,) = self.branch.branches
        digits = torch.stack([branch(pairs[:, :1]), branch(pairs[:, 1:])], dim=1)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}


def test_a_jobs_options_reach_its_training_and_its_predictions(tmp_path, digits_file):
    study = study_of(FOLDS | {"rounds": 1, "folds": 4}, scaling="split", shuffle=False, branch="image", epochs=7)
    found, cell = run(study, tmp_path, digits_file), Cell(**study.cell("m"))
    data = load_splits(cell.inputs, read_tensors(digits_file), found.examples, "1", CPU)[0]
    seeds = _seeds(cell, "1", 0)
    torch.manual_seed(seeds.weights)
    model = CalledTwice()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    for epoch in range(1, 8):
        torch.manual_seed(seeds.epoch(epoch))  # of dropout
        for batch in torch.arange(30).split(10):
            optimizer.zero_grad()
            losses(model(data["train"].inputs[batch]), data["train"], batch).backward()
            optimizer.step()
    number = [(ended.round, ended.fold) for ended in found.records["m"].trainings].index((0, "1"))
    # float32: 21 steps with faster layers, which add in another order.
    assert_same_weights({name: tensor[number] for name, tensor in found.weights["m"].items()}, model, 1e-3)
    rows = of_model(found.predictions).query("fold == '1' and split == 'test'")
    logits = model.eval()(data["test"].inputs)["target"].detach()
    np.testing.assert_allclose(rows["target_logit"], logits[:, 1] - logits[:, 0], atol=1e-2)


OPTIONS = {
    "folds": {},
    "early stopping": {"early_stopping": {"patience": 1}},
    "tested in training mode": {"tested_in_training_mode": ["train", "test"]},
    "passes": {"passes": ["validation", "test"]},
    "chain": {"chain": {"reset": ["Linear"]}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_reported_numbers_are_bit_equal_whatever_curves_are_recorded(tmp_path, digits_file, options):
    """Predictions and weights, batch norm's statistics among them; only the history has more rows."""
    everything = {"splits": ["train", "validation", "test"], "folds": "all"}
    curves = {"none": {}, "one": everything | {"folds": "one"}, "all": everything}
    found = {
        name: run(study_of(FOLDS | {"curves": of_curves}, **options), tmp_path / name, digits_file)
        for name, of_curves in curves.items()
    }
    for name in ("one", "all"):
        pd.testing.assert_frame_equal(found[name].predictions, found["none"].predictions, check_exact=True)
        pd.testing.assert_frame_equal(found[name].metrics, found["none"].metrics, check_exact=True)
        for tensor, expected in zip(*(found[key].weights["m"].values() for key in (name, "none")), strict=True):
            assert torch.equal(tensor, expected)
    rows = {name: ran.history.groupby(["round", "fold", "split"]).size() for name, ran in found.items()}
    needed = options.get("passes", ["validation"] if "early_stopping" in options else [])
    assert set(rows["none"].index.get_level_values("split")) == set(needed)
    assert len(rows["one"]) == 2 * (
        3 + len(needed)
    )  # of each round, all splits of one fold, what is needed of the other
    assert len(rows["all"]) == 2 * 2 * 3


def test_rounds_after_the_whole_ones_train_the_last_fold_alone(tmp_path, digits_file):
    protocol = FOLDS | {"rounds": 3, "folds": 4, "curves": {"splits": ["test"]}}
    found = run(study_of(protocol, whole_rounds=1, reported_fold="last"), tmp_path / "some", digits_file)
    every = run(study_of(protocol, reported_fold="last"), tmp_path / "all", digits_file)
    trained = [(ended.round, ended.fold) for ended in found.records["m"].trainings]
    assert trained == [(0, "0"), (0, "1"), (0, "2"), (0, "3"), (1, "3"), (2, "3")]
    of_all = [(ended.round, ended.fold) for ended in every.records["m"].trainings]
    assert of_all == [(round_, fold) for round_ in range(3) for fold in "0123"]
    for name, tensor in found.weights["m"].items():
        assert torch.equal(tensor, every.weights["m"][name][[of_all.index(training) for training in trained]])
    assert sorted(of_model(found.predictions).groupby(["round", "fold"]).groups) == trained
    shown = [reported(ran.metrics).query("model == 'm'").reset_index(drop=True) for ran in (found, every)]
    pd.testing.assert_frame_equal(*shown, check_exact=True)
    assert set(shown[0]["fold"]) == {"3"}
    assert shown[0]["round"].unique().tolist() == [0, 1, 2]
    # The curves of a round are those of the first fold that it trains.
    assert found.history[["round", "fold"]].drop_duplicates().to_numpy().tolist() == [[0, "0"], [1, "3"], [2, "3"]]


def test_a_chain_of_jobs_is_stored_fold_by_fold(tmp_path, digits_file):
    """The first fold is that of any training; the later ones are not, and every fold has predictions of its own."""
    alone, chain = (
        run(study_of(chain=chain), tmp_path / name, digits_file)
        for name, chain in (("alone", None), ("chain", {"reset": []}))
    )
    order = [(ended.round, ended.fold) for ended in chain.records["m"].trainings]
    assert order == [(0, "0"), (1, "0"), (0, "1"), (1, "1")]
    of_alone = [(ended.round, ended.fold) for ended in alone.records["m"].trainings]
    for number, training in enumerate(order):
        same = [
            torch.equal(tensor[number], alone.weights["m"][name][of_alone.index(training)])
            for name, tensor in chain.weights["m"].items()
        ]
        assert all(same) if training[1] == "0" else not any(same)
    keys = ["round", "fold", "split", "pair"]
    first = [
        of_model(ran.predictions).query("fold == '0'").sort_values(keys, ignore_index=True) for ran in (alone, chain)
    ]
    pd.testing.assert_frame_equal(*first, check_exact=True)


def test_a_split_tested_in_training_mode_is_predicted_with_dropout(tmp_path, digits_file):
    """Its predictions differ from those in evaluation mode, are the same on a second call, and follow the seed."""
    found = run(study_of(tested_in_training_mode=["test"]), tmp_path, digits_file)
    kept, again = found.predictions, found.predict()
    pd.testing.assert_frame_equal(kept, again, check_exact=True)
    usual, other = found.predict(tested_in_training_mode=[]), found.predict(seed=2)
    test, rest = kept["split"] == "test", kept["split"] != "test"
    mine = test & (kept["model"] == "m")
    for changed in (usual, other):
        assert (changed.loc[mine, "target_logit"] != kept.loc[mine, "target_logit"]).mean() > 0.9
        pd.testing.assert_frame_equal(changed[rest], kept[rest], check_exact=True)
    by_training = found.predict(tested_in_training_mode=["train"])
    pd.testing.assert_frame_equal(by_training[test], usual[test], check_exact=True)  # whatever was predicted before


COUNTS = {"train": 50, "validation": 40, "test": 60}


def test_validation_pairs_from_the_test_part(labels, digits_file):
    drawn = {"labels": labels, "folds": None, "seed": 1, "study": "s"}
    table = pairs.draw(range(2), counts=COUNTS, validation_from="test", **drawn)
    usual = pairs.draw(range(2), counts=COUNTS, **drawn)
    images = read_tensors(digits_file)
    for round_, rows in table.groupby("round"):
        of = {split: rows[rows["split"] == split] for split in COUNTS}
        assert {split: len(of_split) for split, of_split in of.items()} == COUNTS
        assert of["validation"]["part"].unique().tolist() == of["test"]["part"].unique().tolist() == ["test"]
        assert of["train"]["part"].unique().tolist() == ["train"]
        used = pd.concat(
            [of[split][side] for split in ("validation", "test") for side in ("left_index", "right_index")]
        )
        assert used.is_unique
        assert (labels["test"][of["validation"]["left_index"]] == of["validation"]["left_digit"]).all()
        loaded = load_splits(Inputs(task="pairs", scaling="raw"), images, rows, "all", CPU)[round_]["validation"]
        expected = images["test_images"][of["validation"]["right_index"].tolist()]
        assert torch.equal(loaded.inputs[:, 1], expected)
    assert usual.loc[usual["split"] == "validation", "part"].unique().tolist() == ["train"]


def test_a_jobs_validation_pairs_come_from_where_the_protocol_says(tmp_path, digits_file):
    protocol = {"pairs": COUNTS, "rounds": 1, "validation_from": "test"}
    found = run(study_of(protocol, early_stopping={"patience": 2}), tmp_path, digits_file)
    assert found.examples.query("split == 'validation'")["part"].unique().tolist() == ["test"]
    assert of_model(found.predictions).groupby("split").size().to_dict() == COUNTS

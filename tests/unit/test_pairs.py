import numpy as np
import pandas as pd
import pytest
import torch

from twinbench import tasks
from twinbench.files import read_tensors
from twinbench.spec.training import Inputs
from twinbench.tasks import pairs
from twinbench.tasks.tables import assign_splits
from twinbench.tasks.tensors import load_splits

INPUTS = Inputs(task="pairs", scaling="training")


@pytest.fixture(scope="module")
def table(labels):
    counts = {"train": 1000, "validation": 200, "test": 1000}
    return pairs.draw(range(4), labels=labels, counts=counts, folds=None, seed=3, study="s")


FOLDED = {"train": 80, "validation": 0, "test": 20}


def folded(labels, rounds=range(1)):
    return pairs.draw(rounds, labels=labels, counts=FOLDED, folds=8, seed=3, study="s")


def test_counts(table):
    counts = table.groupby(["round", "split"]).size().unstack()
    assert counts.columns.tolist() == ["test", "train", "validation"]
    assert (counts == [1000, 1000, 200]).all(axis=None)


def test_target_says_left_at_most_right(table, labels):
    assert (table["target"] == (table["left_digit"] <= table["right_digit"])).all()
    train = table[table["split"] != "test"]
    test = table[table["split"] == "test"]
    assert (labels["train"][train["left_index"]] == train["left_digit"]).all()
    assert (labels["test"][test["right_index"]] == test["right_digit"]).all()


def test_no_digit_is_used_twice_in_a_round(table):
    for _, rows in table.groupby("round"):
        for part in (rows["split"] == "test", rows["split"] != "test"):  # MNIST's test part, and its train part
            used = np.concatenate([rows.loc[part, "left_index"], rows.loc[part, "right_index"]])
            assert len(set(used)) == len(used)


def test_class_prior(table):
    # Uniform digits give P(left ≤ right) = 55/100; 8,800 pairs have a standard error of 0.0053.
    assert abs(table["target"].mean() - 0.55) < 4 * 0.0053


def test_a_round_does_not_depend_on_the_others(labels):
    together, alone = folded(labels, range(3)), folded(labels, range(2, 3))
    pd.testing.assert_frame_equal(together[together["round"] == 2].reset_index(drop=True), alone)


def test_fixed_data_repeats_the_pairs_of_round_0(labels):
    counts = {"train": 80, "validation": 20, "test": 20}
    fixed = pairs.draw(range(2, 4), labels=labels, counts=counts, folds=None, seed=3, study="s", fixed_data=True)
    free = pairs.draw(range(1), labels=labels, counts=counts, folds=None, seed=3, study="s")
    for round_ in (2, 3):
        rows = fixed[fixed["round"] == round_].reset_index(drop=True)
        assert rows.drop(columns="round").equals(free.drop(columns="round"))


def test_rounds_studies_and_seeds_differ(labels):
    counts = {"train": 50, "validation": 0, "test": 50}
    draws = [
        pairs.draw(range(round_, round_ + 1), labels=labels, counts=counts, folds=None, seed=seed, study=study)
        for seed, study, round_ in [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1)]
    ]
    assert len({tuple(draw["left_index"]) for draw in draws}) == 4


def test_every_training_pair_is_held_out_by_one_fold(labels):
    table = folded(labels)
    held_out = [assign_splits(table, str(fold)).query("split == 'validation'")["pair"].tolist() for fold in range(8)]
    assert [len(of_fold) for of_fold in held_out] == [10] * 8
    assert sorted(pair for of_fold in held_out for pair in of_fold) == list(range(80))
    assert assign_splits(table, "3")["split"].value_counts().to_dict() == {"train": 70, "validation": 10, "test": 20}


def test_tensors_are_the_tables_images_standardised_by_the_training_pairs(labels, digits_file):
    table = folded(labels)
    pool = read_tensors(digits_file)
    splits = load_splits(INPUTS, pool, table, "1", torch.device("cpu"))[0]
    train = splits["train"].inputs
    assert train.shape == (70, 2, 14, 14)
    # float32 sums over 27,440 pixels
    torch.testing.assert_close(train.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.std(), torch.tensor(1.0), atol=1e-5, rtol=0)
    row = assign_splits(table, "1").query("split == 'validation'").iloc[4]
    raw = pool["train_images"][[row["left_index"], row["right_index"]]]
    image = splits["validation"].inputs[4]
    # One scale and shift for both images: standardising keeps the order and the ratios of grey levels.
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    torch.testing.assert_close((image - image.min()) / (image.max() - image.min()), scaled, atol=1e-5, rtol=0)
    assert splits["validation"].digits[4].tolist() == [row["left_digit"], row["right_digit"]]
    assert splits["validation"].target[4] == row["target"]
    raw_splits = load_splits(INPUTS.model_copy(update={"scaling": "raw"}), pool, table, "1", torch.device("cpu"))[0]
    assert raw_splits["validation"].inputs[4].equal(raw)


def test_a_model_may_take_the_first_training_pairs_alone(labels, digits_file):
    table, pool = folded(labels), read_tensors(digits_file)
    few = INPUTS.model_copy(update={"train_pairs": 30})
    splits = load_splits(few, pool, table, "all", torch.device("cpu"))[0]
    assert {name: len(split.target) for name, split in splits.items()} == {"train": 30, "test": 20}
    # Scaled by the pairs that it takes: the level of one is not that of all.
    torch.testing.assert_close(splits["train"].inputs.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert splits["train"].target.tolist() == table.query("split == 'train'")["target"].tolist()[:30]


def test_a_task_is_drawn_by_its_name(labels, digits_file):
    settings = {"counts": FOLDED, "folds": 8, "seed": 3, "study": "s", "fixed_data": False}
    pd.testing.assert_frame_equal(tasks.draw("pairs", range(1), digits_file, **settings), folded(labels))
    points = tasks.draw("disc", range(1), None, **settings)
    assert points.groupby("split").size().to_dict() == {"grid": 101**2, "test": 20, "train": 80}
    held_out = [assign_splits(points, str(fold)).query("split == 'validation'")["point"].tolist() for fold in range(8)]
    assert sorted(point for of_fold in held_out for point in of_fold) == list(range(80))

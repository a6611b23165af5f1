"""Metrics and statistics against scikit-learn and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss

from twinbench.architectures.catalog import architectures
from twinbench.evaluation.metrics import metrics
from twinbench.evaluation.predictions import complete, predict, predict_majority
from twinbench.evaluation.statistics import Summary, mark_reported, reported
from twinbench.files import read_tensors
from twinbench.metric import METRICS
from twinbench.provenance import PACKAGES
from twinbench.report import tables
from twinbench.spec.objectives import Stage
from twinbench.spec.training import Inputs
from twinbench.tasks import disc, pairs
from twinbench.tasks.pairs import TRUTH
from twinbench.tasks.tensors import load_splits
from twinbench.training.objectives import evaluate_model

COUNTS = {"train": 60, "validation": 0, "test": 40}


@pytest.fixture(scope="module")
def predictions():
    """Made-up predictions of two rounds of 50 test pairs, with both heads."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 10, (2, 100), dtype=np.int8)
    truth = pd.DataFrame({"round": np.repeat([0, 1], 50), "split": "test", "pair": np.tile(np.arange(50), 2)})
    truth = truth.assign(left_digit=left, right_digit=right, target=(left <= right).astype(np.int8))
    posterior = rng.uniform(0, 1, 100).astype(np.float32)
    columns = {
        "target_logit": rng.normal(0, 2, 100).astype(np.float32),
        "left_predicted": np.where(rng.random(100) < 0.8, left, 3).astype(np.int8),
        "right_predicted": np.where(rng.random(100) < 0.7, right, 6).astype(np.int8),
        "left_nll": rng.exponential(1, 100).astype(np.float32),
        "right_nll": rng.exponential(1, 100).astype(np.float32),
        "posterior": posterior,
    }
    return truth.assign(fold="all", **columns)


def value(table, metric, round_=0, split="test"):
    (found,) = table.query("metric == @metric and round == @round_ and split == @split")["value"]
    return found


def test_metrics_are_scikit_learns(predictions):
    table = metrics(predictions, "digits", {"target": 0.5, "digits": 2.0}, "cross-entropy")
    rows = predictions[predictions["round"] == 1]
    probability = 1 / (1 + np.exp(-rows["target_logit"].astype(float)))
    decided = rows["left_predicted"] <= rows["right_predicted"]
    assert value(table, "accuracy_target", 1) == accuracy_score(rows["target"], probability > 0.5)
    assert value(table, "accuracy_digits", 1) == value(table, "accuracy", 1) == accuracy_score(rows["target"], decided)
    assert value(table, "accuracy_posterior", 1) == accuracy_score(rows["target"], rows["posterior"] > 0.5)
    assert value(table, "target_loss", 1) == pytest.approx(log_loss(rows["target"], probability))
    right = [accuracy_score(rows[f"{side}_digit"], rows[f"{side}_predicted"]) for side in ("left", "right")]
    assert value(table, "digit_accuracy", 1) == pytest.approx(np.mean(right))
    digit_loss = rows["left_nll"].mean() + rows["right_nll"].mean()
    assert value(table, "digit_loss", 1) == pytest.approx(digit_loss)
    assert value(table, "loss", 1) == pytest.approx(0.5 * value(table, "target_loss", 1) + 2 * digit_loss)


def test_a_missing_head_has_no_rows(predictions):
    only_target = predictions[[*TRUTH, "fold"]].assign(**complete({"target_logit": predictions["target_logit"]}, 100))
    names = set(metrics(only_target, "target", {"target": 1.0}, "cross-entropy")["metric"])
    assert names == {"accuracy", "accuracy_target", "target_loss", "loss"}


def test_huge_logits_have_finite_losses(predictions):
    sure = predictions.assign(target_logit=np.float32(1000.0))
    wrong = 1 - predictions.loc[predictions["round"] == 0, "target"].mean()
    result = metrics(sure, "target", {"target": 1.0}, "cross-entropy")
    assert value(result, "target_loss") == pytest.approx(1000 * wrong)


def test_stored_predictions_give_the_metrics_of_training(labels, digits_file):
    """Two ways to the same numbers: the training loop's own evaluation, and the metrics of the prediction table."""
    table = pairs.draw(range(1), labels=labels, counts=COUNTS, folds=None, seed=1, study="s")
    inputs = Inputs(task="pairs", scaling="training")
    splits = load_splits(inputs, read_tensors(digits_file), table, "all", torch.device("cpu"))[0]
    torch.manual_seed(0)
    model = architectures()["twin-lenet"].build()
    objective = {"target": 1.0, "digits": 1.0}
    with torch.inference_mode():
        (expected,) = evaluate_model(model.eval(), splits["test"].batches(50), Stage(objective, None), "digits")
    truth = table.loc[table["split"] == "test", TRUTH]
    answered = truth.assign(fold="all", **predict(model.eval(), splits["test"]))
    result = metrics(answered, "digits", objective, "cross-entropy")
    for metric, name in [("accuracy", "accuracy"), ("digit_accuracy", "digit_accuracy"), ("loss", "loss"),
                         ("target_loss", "target_loss"), ("digit_loss", "digits_loss")]:  # fmt: skip
        assert value(result, metric) == pytest.approx(expected[name], rel=1e-5), metric  # float32 sums


def test_constant_is_the_majority_of_the_training_pairs(labels):
    table = pairs.draw(range(1), labels=labels, counts=COUNTS, folds=2, seed=1, study="s")
    for fold in ("0", "1"):
        result = metrics(predict_majority("pairs", table, fold), "target", {"target": 1.0}, "cross-entropy")
        train = table.query("split == 'train' and fold != @fold_number", local_dict={"fold_number": int(fold)})
        share = train["target"].mean()
        test = table.query("split == 'test'")["target"]
        assert value(result, "accuracy") == pytest.approx(test.mean() if share > 0.5 else 1 - test.mean())
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        assert value(result, "target_loss", split="train") == pytest.approx(entropy, rel=1e-6)  # a float32 logit


def test_metrics_of_squared_differences_by_hand():
    truth = {"round": 0, "split": ["train"] * 3 + ["test"] * 2 + ["grid"], "point": [0, 1, 2, 0, 1, 0]}
    truth |= {"x": 0.5, "y": 0.5}
    table = pd.DataFrame(truth | {"target": np.array([1, 1, 0, 0, 0, 1], np.int8), "fold": "all"})
    output = np.array([0.5, -1.0, -3.0, -1.0, 1.0, 9.0], np.float32)
    result = metrics(table.assign(**complete({"target_logit": output}, 6)), "target", {"target": 1.0}, "mse")
    assert value(result, "accuracy", split="train") == pytest.approx(2 / 3)
    assert value(result, "loss", split="train") == pytest.approx((0.25 + 4 + 4) / 3)
    assert value(result, "accuracy") == 0.5
    assert value(result, "loss") == value(result, "target_loss") == pytest.approx((0 + 4) / 2)
    assert set(result["split"]) == {"train", "test"}, "the grid is drawn only"
    constant = metrics(predict_majority("disc", table, "all"), "target", {"target": 1.0}, "cross-entropy")
    # The majority of the training points is 1, which no test point has.
    assert value(constant, "accuracy", split="train") == pytest.approx(2 / 3)
    assert value(constant, "accuracy") == 0
    assert predict_majority("disc", table, "all").columns.tolist()[:7] == [*disc.TRUTH, "fold"]


def tidy(rows):
    return pd.DataFrame(rows, columns=["study", "model", "fold", "round", "split", "metric", "value"])


def test_best_fold_by_validation_accuracy_then_loss():
    rows = []
    for fold, (accuracy, loss, test) in enumerate([(0.8, 0.5, 0.99), (0.9, 0.4, 0.7), (0.9, 0.3, 0.6)]):
        rows += [("s", "m", str(fold), 0, "validation", "accuracy", accuracy),
                 ("s", "m", str(fold), 0, "validation", "loss", loss),
                 ("s", "m", str(fold), 0, "test", "accuracy", test)]  # fmt: skip
    rows.append(("s", "plain", "all", 0, "test", "accuracy", 0.5))
    table = tidy(rows)
    marked = mark_reported(table, {"m": "best", "plain": "best"})
    assert marked.drop(columns="reported").equals(table)
    assert marked.loc[marked["reported"], ["model", "fold"]].drop_duplicates().to_numpy().tolist() == [
        ["m", "2"],
        ["plain", "all"],
    ]
    shown = reported(marked).query("split == 'test'").set_index("model")["value"]
    assert shown.to_dict() == {"m": 0.6, "plain": 0.5}


def test_the_last_fold_is_reported_where_the_model_says_so():
    values = {
        ("m", 0, "0"): 0.9,
        ("m", 0, "9"): 0.7,
        ("m", 0, "10"): 0.6,
        ("m", 1, "10"): 0.5,
        ("n", 0, "0"): 0.8,
        ("n", 0, "10"): 0.7,
    }
    table = tidy(
        [("s", model, fold, round_, "validation", "accuracy", value) for (model, round_, fold), value in values.items()]
    )
    shown = reported(mark_reported(table, {"m": "10", "n": "best"})).set_index(["model", "round"])["fold"]
    assert shown.to_dict() == {("m", 0): "10", ("m", 1): "10", ("n", 0): "0"}


def test_no_other_fold_stands_for_a_last_one_that_diverged():
    """A diverged training has no rows."""
    folds = {0: ("0", "1"), 1: ("0",)}  # of each round, those that ended well
    table = tidy(
        [("s", "m", fold, round_, "validation", "accuracy", 0.5) for round_ in folds for fold in folds[round_]]
    )
    shown = reported(mark_reported(table, {"m": "1"}))
    assert shown[["round", "fold"]].to_numpy().tolist() == [[0, "1"]]


def test_fold_selection_does_not_look_at_the_test_split():
    table = tidy(
        [("s", "m", f, 0, split, "accuracy", v) for f, split, v in
         [("0", "validation", 0.8), ("1", "validation", 0.7), ("0", "test", 0.1), ("1", "test", 0.9)]]
    )  # fmt: skip
    flipped = table.assign(value=table["value"].where(table["split"] != "test", 1 - table["value"]))
    marks = [mark_reported(some, {"m": "best"})["reported"] for some in (table, flipped)]
    assert marks[0].tolist() == marks[1].tolist() == [True, False, True, False]


def test_equal_values_have_no_deviation():
    # pandas gives five times this number a deviation of 3e-17, which would be printed with all its digits.
    assert Summary.of(pd.Series([0.2497704012021131] * 5)).std == 0
    assert math.isnan(Summary.of(pd.Series([0.5])).std)


def test_summary_and_prediction_interval():
    values = pd.Series([0.90, 0.92, 0.95, 0.91, np.nan])
    summary = Summary.of(values)
    assert (summary.n, summary.mean) == (4, pytest.approx(0.92))
    assert summary.std == pytest.approx(math.sqrt((0.02**2 + 0 + 0.03**2 + 0.01**2) / 3))
    low, high = summary.prediction_interval()
    # scipy's own interval of a t distribution with that location and scale
    expected = stats.t.interval(0.95, 3, loc=summary.mean, scale=summary.std * math.sqrt(1 + 1 / 4))
    assert (low, high) == pytest.approx(expected)
    expected = stats.t.interval(0.95, 3, loc=summary.mean, scale=summary.std * math.sqrt(1 / 32 + 1 / 4))
    assert summary.prediction_interval(of=32) == pytest.approx(expected)


def test_prediction_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.9, 0.02, (4000, 9))
    covered = 0
    for row in draws:
        low, high = Summary.of(pd.Series(row[:8])).prediction_interval()
        covered += low <= row[8] <= high
    # Binomial with p = 0.95 and n = 4000: standard error 0.0034
    assert abs(covered / 4000 - 0.95) < 4 * 0.0034


def test_one_value_has_no_interval():
    assert all(math.isnan(end) for end in Summary.of(pd.Series([0.9])).prediction_interval())


@pytest.mark.parametrize(
    ("value", "metric", "std", "text"),
    [
        (0.0521, "error", 0.0129, "5.2 ± 1.3 %"), (0.9, "accuracy", None, "90.0 %"), (0.5372, "loss", 0.091, "0.54 ± 0.09"),
        (118.4, "seconds", 12.6, "118 ± 13"), (1.234, "seconds", 0.05, "1.23 ± 0.05"), (0.0, "loss", None, "0"),
        (0.0712, "seconds", None, "0.071"),
    ],
)  # fmt: skip
def test_values_are_written_to_the_first_digit_of_their_deviation(value, metric, std, text):
    assert METRICS[metric].text(value, std) == text


@pytest.mark.parametrize("newer", [0, 1])
def test_a_package_that_older_records_lack_is_shown_as_not_recorded(newer):
    ran_on = {"processor": "cpu", "device": "cpu", "threads": 1, "system": "Linux", "python": "3.12"}
    old = ran_on | dict.fromkeys(PACKAGES[1:], "1.0")
    rows = tables.environment_rows(pd.DataFrame([old, old] + newer * [old | {PACKAGES[0]: "2.0"}]))
    versions = ["1.0"] * len(PACKAGES[1:])
    shown = {"not recorded": "2"} | ({"2.0": "1"} if newer else {})
    assert sorted(rows) == sorted(
        ["cpu", "cpu", "1", "Linux", "3.12", version, *versions, count] for version, count in shown.items()
    )

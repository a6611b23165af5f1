"""Which pairs are answered wrongly: counts against a plain loop, the diagonal by hand, hardest pairs of a known order."""

import numpy as np
import pandas as pd
import pytest

from tests.unit import studies
from twinbench.evaluation.errors import along_diagonal, digit_errors, hardest_pairs, reported_answers
from twinbench.evaluation.metrics import metrics
from twinbench.evaluation.predictions import complete
from twinbench.evaluation.statistics import mark_reported
from twinbench.report.tables import diagonal_groups, diagonal_rows

IMAGES = np.arange(20 * 196, dtype=np.float32).reshape(20, 14, 14)


def test_counts_are_those_of_a_plain_loop_over_the_reported_folds():
    rng = np.random.default_rng(0)
    tables, predictions, expected = {}, [], {}
    for model, decision in (("compares", "target"), ("reads", "digits")):
        truth = pd.DataFrame({"round": np.repeat([0, 1], 60), "split": ["validation", "test", "test"] * 40})
        left, right, left_named, right_named = rng.integers(0, 10, (4, 120), dtype=np.int8)
        truth = truth.assign(pair=np.tile(np.arange(60), 2), left_digit=left, right_digit=right)
        truth = truth.assign(target=(left <= right).astype(np.int8))
        folds = []
        for fold in ("0", "1"):
            columns = {
                "target_logit": rng.normal(0, 1, 120),
                "left_predicted": left_named,
                "right_predicted": right_named,
            }
            scores = {
                "left_nll": rng.exponential(1, 120),
                "right_nll": rng.exponential(1, 120),
                "posterior": rng.random(120),
            }
            folds.append(truth.assign(fold=fold, **columns, **scores))
        table = pd.concat(folds, ignore_index=True)
        predictions.append(table.assign(model=model))
        tables[model] = metrics(table, decision, {decision: 1.0}, "cross-entropy").assign(study="s", model=model)
        best = {}  # fold of each round: best validation accuracy, then lower loss
        for row in tables[model].query("split == 'validation'").itertuples():
            best.setdefault((row.round, row.fold), {})[row.metric] = row.value
        chosen = {
            round_: max(("0", "1"), key=lambda fold: (best[round_, fold]["accuracy"], -best[round_, fold]["loss"]))
            for round_ in (0, 1)
        }
        for row in table.query("split == 'test'").itertuples():
            if row.fold == chosen[row.round]:
                says = row.target_logit > 0 if decision == "target" else row.left_predicted <= row.right_predicted
                cell = expected.setdefault((model, row.left_digit, row.right_digit), [0, 0])
                cell[0] += 1
                cell[1] += says != row.target
    answering = {"compares": {"decision": "target", "trained": ["target"]},
                 "reads": {"decision": "digits", "trained": ["digits"]}}  # fmt: skip
    predictions.append(predictions[0].assign(model="constant", fold="0"))  # a baseline answers nothing
    marked = mark_reported(pd.concat(tables.values()), dict.fromkeys(tables, "best"))
    answers = reported_answers(pd.concat(predictions, ignore_index=True), answering, marked)
    counted = digit_errors(answers, list(tables))
    assert len(counted) == 200
    assert counted["pairs"].sum() == 2 * 80
    for row in counted.itertuples():
        assert [row.pairs, row.errors] == expected.get((row.model, row.left_digit, row.right_digit), [0, 0])
    # An untrained digit head names nothing.
    named = answers.groupby("model")["left_predicted"].min()
    assert (named["compares"], named["reads"]) == (-1, 0)


def test_the_share_along_the_diagonal():
    rows = [("m", 3, 3, 10, 4), ("m", 3, 4, 10, 1), ("m", 5, 4, 10, 1), ("m", 5, 3, 20, 2), ("m", 0, 9, 50, 0)]
    errors = pd.DataFrame(rows, columns=["model", "left_digit", "right_digit", "pairs", "errors"])
    assert along_diagonal(errors).loc["m"].to_dict() == {
        "pairs": 100, "errors": 8, "pairs_there": 30, "errors_there": 6,
    }  # fmt: skip


def test_the_report_sets_target_only_models_beside_the_others():
    rows = [("alone", 1, 1, 10, 5), ("alone", 1, 9, 30, 5), ("both", 1, 1, 10, 1), ("both", 1, 9, 30, 7),
            ("perfect", 1, 1, 10, 0), ("perfect", 1, 9, 30, 0), ("diverged", 1, 1, 0, 0)]  # fmt: skip
    errors = pd.DataFrame(rows, columns=["model", "left_digit", "right_digit", "pairs", "errors"])
    trained = {"alone": ["target"], "both": ["target", "digits"], "perfect": ["target"], "diverged": ["digits"]}
    study = studies.made_up({model: studies.model(model.upper(), tuple(heads)) for model, heads in trained.items()})
    assert diagonal_rows(study, errors) == [
        ["ALONE", "target", "50.0 % (n = 10)", "25.0 %"],
        ["BOTH", "target and digits", "12.5 % (n = 8)", "25.0 %"],
        ["PERFECT", "target", "– (n = 0)", "25.0 %"],
        ["DIVERGED", "digits", "– (n = 0)", "–"],
    ]
    alone, others = diagonal_groups(study, errors)
    assert alone == {
        "trained_on": "the target alone", "errors": "10", "of_errors": "50.0 %", "of_pairs": "25.0 %",
        "models": 1, "above": 1,
    }  # fmt: skip
    assert (others["of_errors"], others["models"], others["above"]) == ("12.5 %", 1, 0)
    assert diagonal_groups(study, errors.assign(errors=0)) == []


@pytest.fixture
def pairs():
    """Three rounds of six test pairs; in round 2, pair 0 is made of the digits of round 0's pair 1."""
    table = pd.DataFrame({"round": np.repeat([0, 1, 2], 6), "split": "test", "pair": np.tile(np.arange(6), 3)})
    table = table.assign(left_index=np.arange(18), right_index=19 - np.arange(18) % 2)
    table.loc[12, ["left_index", "right_index"]] = table.loc[1, ["left_index", "right_index"]]
    return table


def made_up(model, rounds, wrong):
    """Answers of a model: ``wrong`` maps (round, pair) to the certainty of a wrong answer; the others are right."""
    rows = []
    for round_ in rounds:
        for pair in range(6):
            certainty = wrong.get((round_, pair))
            row = {"model": model, "round": round_, "pair": pair, "left_digit": 4, "right_digit": 2, "target": 0}
            rows.append(row | {"answer": int(certainty is not None), "wrong": certainty is not None,
                               "certainty": certainty or 0.99, "left_predicted": -1, "right_predicted": -1})  # fmt: skip
    return pd.DataFrame(rows)


def order(table):
    return table.drop_duplicates("rank")[["round", "pair"]].apply(tuple, axis=1).tolist()


def test_hardest_pairs_are_in_a_known_order(pairs):
    a = {(0, 1): 0.75, (0, 2): 0.5, (0, 3): 0.8, (0, 4): 0.7, (1, 4): 0.7, (2, 0): 0.95, (2, 5): 0.99}
    b = {(0, 2): 0.75, (0, 3): 0.9, (0, 1): 0.5, (2, 0): 0.1}
    answers = pd.concat([made_up("a", range(3), a), made_up("b", range(3), b)], ignore_index=True)
    table = hardest_pairs(answers, pairs, IMAGES)
    # Both wrong, by mean certainty 0.85, then of two with 0.625 the lower pair; (2, 0) has the digits of (0, 1)
    # and a mean of 0.525; then one wrong: 0.99, and of two with 0.7 the lower round.
    assert order(table) == [(0, 3), (0, 1), (0, 2), (2, 5), (0, 4), (1, 4)]
    assert table["rank"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert table["model"].tolist() == ["a", "b"] * 6
    assert table["wrong"].tolist() == [1.0] * 6 + [0.5] * 6
    assert table["answer"].tolist() == [1] * 6 + [1, 0] * 3
    first = table.iloc[0]
    assert (first["left_index"], first["right_index"]) == (3, 18)
    assert first["left_image"] == IMAGES[3].ravel().tolist()
    assert order(hardest_pairs(answers, pairs, IMAGES, count=2)) == [(0, 3), (0, 1)]


def test_only_rounds_of_the_largest_set_of_models_count(pairs):
    wrong = {(round_, pair): 0.5 + pair / 20 for round_ in range(3) for pair in range(6)}
    # c has the first two rounds only, b diverged in round 0: all three share round 1 alone.
    answers = [made_up("a", range(3), wrong), made_up("b", [1, 2], wrong), made_up("c", [0, 1], {})]
    table = hardest_pairs(pd.concat(answers, ignore_index=True), pairs, IMAGES)
    assert order(table) == [(1, 5), (1, 4), (1, 3), (1, 2), (1, 1), (1, 0)]
    assert table["wrong"].unique().tolist() == [2 / 3]
    # Without round 1, no round has all: of the two sets of two models, a and b of round 2, a and c of round 0, the first.
    none = [answers[0], answers[1].query("round == 2"), answers[2].query("round == 0")]
    assert {round_ for round_, _ in order(hardest_pairs(pd.concat(none), pairs, IMAGES))} == {0}
    # Two rounds of a and b are more than one of a and c.
    more = [answers[0], made_up("b", [1, 2], wrong), answers[2].query("round == 0")]
    assert {round_ for round_, _ in order(hardest_pairs(pd.concat(more), pairs, IMAGES))} == {1, 2}


def test_no_answers_give_empty_tables(pairs):
    truth = pairs.assign(left_digit=0, right_digit=0, target=1, fold="all").head(0)
    predictions = truth.assign(model="m", **complete({}, 0))
    columns = ["study", "model", "fold", "round", "split", "metric", "value"]
    empty = pd.DataFrame(columns=columns)
    answering = {"m": {"decision": "target", "trained": ["target"]}}
    metrics = mark_reported(empty.astype({"round": int, "value": float}), {"m": "best"})
    answers = reported_answers(predictions, answering, metrics)
    assert digit_errors(answers, ["m"])[["pairs", "errors"]].to_numpy().sum() == 0
    assert hardest_pairs(answers, pairs, IMAGES).empty

"""Verdicts on made-up numbers."""

import math

import pandas as pd
import pytest
from scipy import stats

from tests.unit import studies
from twinbench.evaluation.verdicts import Measured
from twinbench.metric import METRICS
from twinbench.report import tables
from twinbench.spec.model import PublishedValue

ROUNDS = [0.92, 0.91, 0.90, 0.89, 0.88, 0.87]  # mean 0.895, std 0.0187
PUBLISHED = {"metric": "accuracy", "split": "test", "value": 0.9, "std": None, "n": 1, "evidence": None}


def published(**changes):
    return PublishedValue(**PUBLISHED | changes)


def study(values=(), parameters=None, smaller=False, **changes):
    """A study of one model, for which these values were published."""
    protocol = {"pairs": {"train": 800, "validation": 100, "test": 500}, "rounds": 6} | changes
    if changes.get("folds"):
        protocol["pairs"] = {"train": 800, "test": 500}
    model = studies.model("M", published={"values": list(values), "parameters": parameters})
    return studies.made_up({"m": model}, protocol, reduced={"training": {"epochs": 1}} if smaller else {})


def rows(values, metric="accuracy", split="test", fold="all", **axes):
    frame = pd.DataFrame({"value": values, "round": range(len(values))})
    return frame.assign(study="s", model="m", fold=fold, split=split, metric=metric, **axes)


def measured(values, metric="accuracy", split="test", of=None, **changes):
    cells = pd.DataFrame({"model": "m", "status": "ok", "round": range(len(values)), "train_seconds": values})
    return Measured(of or study(**changes), rows(values, metric, split), cells.assign(parameters=3))


def word(results, **changes):
    return results.judge("m", published(**changes)).word


def test_reproduced_higher_lower():
    # t(5) = 2.571: one more round within 0.895 ± 0.0519, the mean of 32 within ± 0.0214
    results = measured(ROUNDS)
    assert word(results) == "reproduced"
    assert word(results, value=0.85) == "reproduced"
    assert word(results, value=0.85, n=32) == "higher"
    assert word(results, value=0.94, n=32) == "lower"


def test_errors_are_judged_by_their_own_size():
    # Our error of 0.105 is the accuracy's 0.895; a published error of 0.05 is below our interval: ours is higher.
    assert word(measured(ROUNDS), metric="error", value=0.05, n=32) == "higher"
    assert word(measured(ROUNDS, metric="digit_accuracy"), metric="digit_error", value=0.2, n=32) == "lower"


def test_what_does_not_compare_says_why():
    reasons = {
        "too few rounds": measured(ROUNDS[:4]).judge("m", published()),
        "smaller protocol": measured(ROUNDS, smaller=True).judge("m", published()),
        "other hardware": measured(ROUNDS).judge("m", published(metric="seconds")),
        "no result of ours": measured(ROUNDS).judge("other", published()),
        "one set of pairs": measured(ROUNDS, "loss", fixed_data=True).judge("m", published(metric="loss")),
    }
    for reason, verdict in reasons.items():
        assert (verdict.word, verdict.reason) == ("not comparable", reason)
        assert all(math.isnan(end) for end in verdict.interval)


def test_shared_pairs_add_the_sampling_noise_of_both_test_sets():
    low, high = measured(ROUNDS, fixed_data=True).judge("m", published(n=15)).interval
    variance = pd.Series(ROUNDS).var(ddof=1) * (1 / 15 + 1 / 6) + 2 * 0.895 * 0.105 / 500
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 5, loc=0.895, scale=math.sqrt(variance)))


def test_one_round_is_judged_by_the_spread_of_its_folds():
    validation = {str(fold): 0.5 + fold / 10 for fold in range(5)}  # fold 4 is selected
    test = dict(zip(validation, [0.78, 0.80, 0.81, 0.79, 0.82], strict=True))
    metrics = pd.concat(
        [rows([value], split=split, fold=fold) for split, values in (("validation", validation), ("test", test)) for fold, value in values.items()]
    )  # fmt: skip
    results = Measured(study(folds=5), metrics, pd.DataFrame())
    assert results.values("m", "accuracy", "test").tolist() == [0.82]
    assert results.values("m", "accuracy", "validation").tolist() == list(validation.values())
    low, high = results.judge("m", published()).interval
    variance = pd.Series(test).var(ddof=1) * 2 + 2 * 0.82 * 0.18 / 500
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 4, loc=0.82, scale=math.sqrt(variance)))


def test_the_interval_of_a_share_ends_at_all_pairs():
    values = [0.95, 0.99, 0.96, 1.0, 0.94]  # their normal interval ends above 1
    high, low = (measured(values).judge("m", published(metric=metric)).interval for metric in ("accuracy", "error"))
    assert 0.8 < high[0] < 0.95
    assert high[1] == 1
    assert low == pytest.approx((0, 1 - high[0]))


def test_the_interval_of_a_loss_ends_at_0_alone():
    assert METRICS["loss"].possible((-0.1, 1.3)) == (0, 1.3)


def test_the_table_names_verdict_reason_and_difference():
    with_value = study([published()], parameters=3)
    (row,) = tables.published_rows(measured(ROUNDS, of=with_value), main=True)
    assert row == [
        "M",
        "3 (as published)",
        "test accuracy",
        "89.5 ± 1.9 % (n = 6)",
        "90.0 %",
        "−0.5 points",
        "reproduced",
    ]
    (row,) = tables.published_rows(measured(ROUNDS[:3], of=with_value), main=True)
    assert row[-1] == "not comparable (too few rounds)"
    (row,) = tables.published_rows(measured(ROUNDS, of=study(parameters=3)), main=True)
    assert row[2:] == ["test accuracy", "89.5 ± 1.9 % (n = 6)", "not published", "", "–"]


def test_a_difference_is_explained_in_a_sentence():
    explained = published(value=0.85, n=32, evidence="its training accuracy is higher too")
    (line,) = tables.difference_lines(measured(ROUNDS, of=study([explained, published()])))
    assert (
        line
        == "M, test accuracy: ours is higher, expected between 87.4 % and 91.6 %; its training accuracy is higher too"
    )

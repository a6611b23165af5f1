"""Verdicts on made-up numbers."""

import math

import pandas as pd
import pytest
from scipy import stats

from tests.unit import studies
from twinbench.evaluation.statistics import mark_reported
from twinbench.evaluation.verdicts import Measured
from twinbench.metric import METRICS
from twinbench.spec.model import PublishedValue

ROUNDS = [0.92, 0.91, 0.90, 0.89, 0.88, 0.87]  # mean 0.895, std 0.0187
PUBLISHED = {"metric": "accuracy", "split": "test", "value": 0.9, "std": None, "n": 1}


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
    return frame.assign(study="s", model="m", fold=fold, split=split, metric=metric, reported=True, **axes)


def measured(values, metric="accuracy", split="test", of=None, **changes):
    cells = pd.DataFrame({"model": "m", "status": "ok", "round": range(len(values)), "train_seconds": values})
    metrics = mark_reported(rows(values, metric, split), {"m": "best"})
    return Measured(of or study(**changes), metrics, cells.assign(parameters=3))


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
        assert (verdict.word, verdict.reason) == ("no verdict", reason)
        assert all(math.isnan(end) for end in verdict.interval)


def test_shared_pairs_add_the_sampling_noise_of_both_test_sets():
    low, high = measured(ROUNDS, fixed_data=True).judge("m", published(n=15)).interval
    variance = pd.Series(ROUNDS).var(ddof=1) * (1 / 15 + 1 / 6) + 2 * 0.895 * 0.105 / 500
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 5, loc=0.895, scale=math.sqrt(variance)))


@pytest.mark.parametrize(("rounds", "expected"), [(1, "no verdict"), (4, "no verdict"), (5, "reproduced")])
def test_a_verdict_needs_five_rounds_however_many_folds_they_have(rounds, expected):
    metrics = pd.concat([rows(ROUNDS[:rounds], split="validation", fold=str(fold)) for fold in range(8)])
    results = Measured(study(folds=8), metrics, pd.DataFrame())
    assert results.summary("m", "accuracy", "validation").n == 8 * rounds
    assert word(results, split="validation") == expected


def test_validation_values_come_from_rounds_that_train_every_fold():
    whole = rows(ROUNDS, split="validation", fold="0"), rows(ROUNDS[:2], split="validation", fold="1")
    models = {"m": studies.model("M", whole_rounds=2, reported_fold="last")}
    of = studies.made_up(models, {"pairs": {"train": 800, "test": 500}, "folds": 2})
    found = Measured(of, pd.concat(whole), pd.DataFrame())
    assert sorted(found.rounds("m", "accuracy", "validation")["round"]) == [0, 0, 1, 1]


def test_the_half_width_is_that_of_the_whole_interval():
    """Of 5 rounds of mean 0.968 and std 0.0258: t(4) = 2.776 times std times √(1 + 1/5) is 0.0786; the cut end is 1."""
    verdict = measured([0.95, 0.99, 0.96, 1.0, 0.94]).judge("m", published())
    assert verdict.interval[1] == 1
    assert verdict.half_width == pytest.approx(0.0787, abs=2e-4)


def test_a_share_of_pairs_has_half_the_digits():
    """The comparison of two digits is right or wrong once per pair, a digit twice."""
    noise = {}
    for metric, column in (("recognition_error", "accuracy_digits"), ("digit_error", "digit_accuracy")):
        low, high = (
            measured([0.9] * 5, column, fixed_data=True).judge("m", published(metric=metric, value=0.1)).interval
        )
        noise[metric] = ((high - low) / 2 / stats.t.ppf(0.975, 4)) ** 2
    assert noise["recognition_error"] == pytest.approx(2 * 0.09 / 500)
    assert noise["digit_error"] == pytest.approx(2 * 0.09 / 1000)


def test_the_interval_of_a_share_ends_at_all_pairs():
    values = [0.95, 0.99, 0.96, 1.0, 0.94]  # their normal interval ends above 1
    high, low = (measured(values).judge("m", published(metric=metric)).interval for metric in ("accuracy", "error"))
    assert 0.8 < high[0] < 0.95
    assert high[1] == 1
    assert low == pytest.approx((0, 1 - high[0]))


def test_the_interval_of_a_loss_ends_at_0_alone():
    assert METRICS["loss"].possible((-0.1, 1.3)) == (0, 1.3)

"""Published values: what their spread means."""

import pytest
from pydantic import ValidationError

from twinbench.spec.model import PublishedValue


def value(**changes):
    return PublishedValue(**{"metric": "error", "value": 0.2} | changes)


@pytest.mark.parametrize(
    ("changes", "deviation"),
    [
        ({"std": 0.02, "n": 10}, 0.02),
        ({"std": 0.0004, "spread": "variance", "n": 10}, 0.02),
        # of 0 and 2: divided by n = 2 it is 1, by n − 1 it is √2
        ({"std": 1.0, "spread": "population", "n": 2}, 2**0.5),
        ({"std": 0.03, "spread": "population", "n": 10}, 0.0316228),
        ({"std": 0.02, "spread": "unknown"}, None),
        ({}, None),
    ],
)
def test_a_spread_becomes_a_sample_deviation(changes, deviation):
    found = value(**changes).deviation
    assert found is None if deviation is None else found == pytest.approx(deviation, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spread": "variance"}, "spread: there is no std that it could describe; allowed with std"),
        ({"std": 0.1, "spread": "population"}, "spread: one round has no population"),
        ({"std": 0.1, "spread": "range"}, "'std', 'variance', 'population' or 'unknown'"),
        ({"evidence": "seen"}, "Extra inputs are not permitted"),
    ],
)
def test_a_spread_must_fit(changes, expected):
    with pytest.raises(ValidationError, match=expected):
        value(**changes)


def test_results_on_test_pairs_are_shares_of_them():
    assert [value(metric=metric).is_main for metric in ("accuracy", "error", "recognition_error")] == [True] * 3
    assert not value(metric="recognition_error", split="train").is_main
    assert not value(metric="loss").is_main

"""The one table of metrics: what each line says, and that nothing is measured, published or swept but what it has."""

import math
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.studies import STUDIES
from twinbench.config.models import Sweep
from twinbench.evaluation.metrics import metrics
from twinbench.evaluation.predictions import complete
from twinbench.metric import METRICS
from twinbench.spec.model import PublishedValue
from twinbench.spec.objectives import HEADS

EVERY = pytest.mark.parametrize("name", METRICS)


@EVERY
def test_a_metric_is_found_by_its_name(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.words == name.replace("_", " ")
    assert metric.head in (None, *HEADS)


def test_what_the_table_says():
    flags = {m.name: (m.column, m.head, m.share, m.higher_is_better, m.complement) for m in METRICS.values()}
    assert flags == {
        "accuracy": ("accuracy", None, True, True, False),
        "error": ("accuracy", None, True, False, True),
        "digit_error": ("digit_accuracy", "digits", True, False, True),
        "recognition_error": ("accuracy_digits", "digits", True, False, True),
        "loss": ("loss", None, False, False, False),
        "target_loss": ("target_loss", "target", False, False, False),
        "seconds": ("train_seconds", None, False, False, False),
    }


def test_a_pair_has_two_digits():
    assert [metric.name for metric in METRICS.values() if metric.of_digits] == ["digit_error"]


def test_every_column_is_measured():
    truth = {"round": 0, "split": "test", "fold": "all", "left_digit": [1, 2], "right_digit": 1, "target": [1, 0]}
    columns = {
        "target_logit": np.array([1.0, -1.0]),
        "left_predicted": np.array([1, 2]),
        "right_predicted": np.array([1, 1]),
    }
    columns |= dict.fromkeys(("left_nll", "right_nll", "posterior"), np.array([0.5, 0.5]))
    table = pd.DataFrame(truth).assign(**complete(columns, 2))
    measured = set(metrics(table, "target", {"target": 1.0}, "cross-entropy")["metric"])
    assert {metric.column for metric in METRICS.values()} - {"train_seconds"} <= measured


def test_a_file_may_name_every_metric_and_no_other():
    assert get_args(PublishedValue.model_fields["metric"].annotation) == tuple(METRICS)
    assert set(get_args(Sweep.model_fields["metric"].annotation)) == set(METRICS) - {"seconds"}


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_studies_publish_and_sweep_is_in_the_table(path):
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    published = [value for model in raw["models"].values() for value in model.get("published", {}).get("values", [])]
    named = {entry["metric"] for entry in [*published, *raw.get("sweeps", {}).values()]}
    assert named
    assert named <= set(METRICS)


@EVERY
def test_a_metric_is_its_column_or_the_rest_to_1(name):
    metric, column = METRICS[name], pd.Series([0.25, 1.0, np.nan])
    expected = [0.75, 0.0] if metric.complement else [0.25, 1.0]
    assert metric.of(column).tolist()[:2] == expected
    assert math.isnan(metric.of(column)[2])
    assert metric.of(0.25) == expected[0]


@EVERY
@settings(max_examples=50, deadline=None, derandomize=True)
@given(ends=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)).map(sorted))
def test_an_interval_is_cut_to_what_is_possible(name, ends):
    low, high = METRICS[name].possible(tuple(ends))
    most = 1 if METRICS[name].share else math.inf
    assert 0 <= low <= high <= most
    for end, was in zip((low, high), ends, strict=True):
        assert end == was or not 0 <= was <= most, "what is possible stays"


def test_an_interval_that_is_not_known_stays_so():
    assert all(math.isnan(end) for metric in METRICS.values() for end in metric.possible((math.nan, math.nan)))
    assert METRICS["error"].possible((-0.1, 1.3)) == (0, 1)
    assert METRICS["loss"].possible((-0.1, 1.3)) == (0, 1.3)


@pytest.mark.parametrize(
    ("name", "value", "std", "text"),
    [
        ("accuracy", 0.9, None, "90.0 %"),
        ("error", 0.0521, 0.0129, "5.2 ± 1.3 %"),
        ("digit_error", 0.5, 0.0, "50.0 ± 0.0 %"),
        ("loss", 0.5372, 0.091, "0.54 ± 0.09"),
        ("target_loss", 0.5372, None, "0.54"),
        ("loss", 0.0, None, "0"),
        ("loss", 12.3, 0.0, "12"),
        ("seconds", 118.4, 12.6, "118 ± 13"),
        ("seconds", 0.0712, None, "0.071"),
    ],
)
def test_a_value_as_text(name, value, std, text):
    assert METRICS[name].text(value, std) == text


@pytest.mark.parametrize(
    ("name", "difference", "text"),
    [
        ("accuracy", -0.005, "−0.5 points"),
        ("error", 0.0123, "+1.2 points"),
        ("loss", -0.1234, "−0.12"),
        ("seconds", 12.3, "+12"),
        ("loss", 0.00001, "+1e−05"),
    ],
)
def test_a_difference_as_text(name, difference, text):
    assert METRICS[name].difference(difference) == text

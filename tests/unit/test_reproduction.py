"""Published values beside ours: outcomes, counts by hand, and what the report says of them."""

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.unit import studies
from twinbench.evaluation.reproduction import Beside, Count, count, outcome, reproduction
from twinbench.evaluation.verdicts import Measured, Verdict
from twinbench.figures.catalog import captions
from twinbench.report.build import build_report
from twinbench.report.reproduction import count_rows, finding, reproduction_part
from twinbench.report.tables import model_rows

AROUND = [
    -0.01,
    -0.005,
    0.0,
    0.005,
    0.01,
]  # rounds around a mean: std 0.0079; ± 2.4 points for one new round, t(4) = 2.776
RUN = {"label": "M, as run", "as_run_of": "m", "differs": ["it never stops"]}


def value(published, metric="accuracy", **changes):
    return {"metric": metric, "value": published} | changes


def measured(models, means, protocol=None, rounds=AROUND, **changes):
    """Results of models with these mean accuracies, which are also their losses."""
    study = studies.made_up(models, protocol, **changes)
    keys = {"study": "s", "fold": "all", "split": "test", "reported": True}
    rows = [
        keys | {"model": name, "round": round_, "metric": metric, "value": mean + step}
        for name, mean in means.items() for round_, step in enumerate(rounds) for metric in ("accuracy", "loss")
    ]  # fmt: skip
    cells = [
        {"study": "s", "model": name, "round": 0, "status": "ok", "train_seconds": 1.0, "parameters": 9574}
        for name in means
    ]
    return Measured(study, pd.DataFrame(rows), pd.DataFrame(cells))


def beside(values, means, **changes):
    """Results of a model with published values, as run if the means have it, and what was tried."""
    models = {"m": studies.model("M", published={"values": values})}
    models |= {"m-as-run": studies.model() | RUN} if "m-as-run" in means else {}
    models |= {"other": studies.model("Other", tries="m")} if "other" in means else {}
    return measured(models, means, **changes)


JUDGED = {word: Verdict(word) for word in ("reproduced", "higher", "no verdict")}


@pytest.mark.parametrize(
    ("described", "run", "expected"),
    [
        ("reproduced", None, "as described"),
        ("reproduced", "higher", "as described"),
        ("higher", "reproduced", "as run"),
        ("no verdict", "reproduced", "as run"),
        ("higher", "higher", "neither"),
        ("higher", None, "neither"),
        ("higher", "no verdict", "no verdict"),
        ("no verdict", None, "no verdict"),
    ],
)
def test_the_outcome_of_a_value(described, run, expected):
    assert outcome(JUDGED[described], JUDGED.get(run)) == expected


def test_nothing_is_neither_while_results_are_missing():
    assert outcome(JUDGED["higher"], None, missing=True) == "no verdict"
    assert outcome(JUDGED["reproduced"], None, missing=True) == "as described"


def test_the_rows_of_a_value_are_the_model_its_run_and_the_trials():
    table = reproduction(
        beside([value(0.8, std=0.0004, spread="variance", n=10)], {"m": 0.9, "m-as-run": 0.81, "other": 0.7})
    )
    assert list(table.columns) == list(Beside.__dataclass_fields__)
    assert list(zip(table["role"], table["ours"], table["verdict"], strict=True)) == [
        ("described", "m", "higher"), ("run", "m-as-run", "reproduced"), ("tried", "other", "lower"),
    ]  # fmt: skip
    assert set(table["outcome"]) == {"as run"}
    assert set(table["model"]) == {"m"}
    assert table["published_std"].tolist() == pytest.approx([0.02] * 3)
    # the mean of 10 new rounds: 2.776 · 0.0079 · √(1/10 + 1/5)
    assert table["half_width"].tolist() == pytest.approx([0.01202] * 3, rel=1e-3)
    assert (table["high"] - table["mean"]).tolist() == pytest.approx(table["half_width"].tolist())


def test_a_trial_never_counts():
    found = reproduction(beside([value(0.7)], {"m": 0.9, "other": 0.7}))
    assert found.set_index("role")["verdict"].to_dict() == {"described": "higher", "tried": "reproduced"}
    assert count(found) == Count(described=0, run=0, neither=1, unjudged=0, wide=0)


def test_counts_by_hand():
    values = [
        value(0.9),  # as described
        value(0.1, "error"),  # as described
        value(0.8),  # as run
        value(0.5),  # neither
        value(0.9, "loss"),  # as described, no test result
        value(3.0, "seconds"),  # not counted
        value(0.9, split="train"),  # no result of ours, no test result
    ]
    table = reproduction(beside(values, {"m": 0.9, "m-as-run": 0.8}))
    assert len(table) == 2 * len(values)
    main, whole = count(table, main=True), count(table)
    assert main == Count(described=2, run=1, neither=1, unjudged=0, wide=0)
    assert whole == Count(described=3, run=1, neither=1, unjudged=1, wide=0)
    assert (main.total, main.reproduced, whole.total, whole.reproduced) == (4, 3, 6, 4)
    assert count(table.assign(study="t")[:0]) == Count(0, 0, 0, 0, 0)
    both = pd.concat([table, table.assign(study="t")])
    assert count_rows(both, ["s", "t"])[-1] == [
        "all studies",
        "8",
        "4",
        "2",
        "0",
        "2",
        "0",
        "12",
        "6",
        "2",
        "0",
        "2",
        "2",
    ]
    assert count_rows(both, ["s", "t"])[1][:4] == ["t", "4", "2", "1"]


def test_wide_intervals_are_counted_apart():
    spread = [4 * step for step in AROUND]  # ± 9.6 points
    table = reproduction(beside([value(0.9), value(0.5), value(0.9, "loss")], {"m": 0.9}, rounds=spread))
    assert count(table) == Count(described=2, run=0, neither=1, unjudged=0, wide=1), "a loss has no points"


def test_there_is_no_count_at_a_smaller_scale_or_of_few_rounds():
    of = {"means": {"m": 0.9}, "values": [value(0.9), value(0.2)]}
    smaller = reproduction(beside(**of, reduced={"training": {"epochs": 1}}))
    fewer = reproduction(beside(**of, rounds=AROUND[:4]))
    for table, reason in ((smaller, "smaller protocol"), (fewer, "too few rounds")):
        assert set(table["reason"]) == {reason}
        assert count(table) == Count(0, 0, 0, unjudged=2, wide=0)
        assert finding(count(table), "published value") == "no verdict on the 2 published values"


def test_the_report_has_a_line_per_value():
    results = beside([value(0.9, n=10, std=0.02), value(0.8, by_eye=True)], {"m": 0.9, "m-as-run": 0.8})
    part = reproduction_part(results.study, reproduction(results))
    assert part["header"] == [
        "Model", "Quantity", "Published", "As described: ours", "As described: verdict", "As described: half-width",
        "As run: ours", "As run: verdict", "As run: half-width", "Reproduced",
    ]  # fmt: skip
    assert part["compared"] == [
        ["M", "test accuracy", "90.0 ± 2.0 % (n = 10)", "90.0 ± 0.8 % (n = 5)", "reproduced, +0.0 points", "±1.2 points",
         "80.0 ± 0.8 % (n = 5)", "lower, −10.0 points", "±1.2 points", "as described"],
        ["M", "test accuracy", "80.0 % (by eye)", "90.0 ± 0.8 % (n = 5)", "higher, +10.0 points", "±2.4 points",
         "80.0 ± 0.8 % (n = 5)", "reproduced, +0.0 points", "±2.4 points", "as run"],
    ]  # fmt: skip
    assert part["finding"] == "2 of 2 published test results are reproduced, 1 as described and 1 as run"
    assert part["run_differences"] == ["M: it never stops."]
    assert part["apart"] == []


def test_a_study_without_runs_has_no_columns_for_them():
    results = beside([value(0.9)], {"m": 0.9})
    part = reproduction_part(results.study, reproduction(results))
    assert part["header"][-1] == "Reproduced"
    assert len(part["header"]) == len(part["compared"][0]) == 7


@pytest.mark.parametrize(
    ("spread", "shown", "note"),
    [
        ({"std": 0.0004, "spread": "variance"}, "90.0 ± 2.0 % (n = 10)", "The report prints variances"),
        ({"std": 0.03, "spread": "population"}, "90.0 ± 3.2 % (n = 10)", "The report prints standard deviations of a"),
        ({"std": 0.03, "spread": "unknown"}, "90.0 ± 3.0 % (n = 10, ± is not explained)", None),
    ],
)
def test_the_report_says_what_a_published_spread_is(spread, shown, note):
    results = beside([value(0.9, n=10, **spread)], {"m": 0.9})
    part = reproduction_part(results.study, reproduction(results))
    assert part["compared"][0][2] == shown
    assert [text.startswith(note or "-") for text in part["spreads"]] == ([True] if note else [])


def test_what_neither_reproduces_says_by_how_much_and_what_was_tried():
    results = beside([value(0.5)], {"m": 0.9, "m-as-run": 0.8, "other": 0.7})
    start = (
        "M, test accuracy: published 50.0 %; as described 90.0 ± 0.8 % (n = 5), +40.0 points, where 87.6 % to 92.4 % "
        "would fit; as run 80.0 ± 0.8 % (n = 5), +30.0 points, where 77.6 % to 82.4 % would fit. "
    )
    (line,) = reproduction_part(results.study, reproduction(results))["apart"]
    assert line == start + "Tried: Other 70.0 ± 0.8 % (n = 5) (higher, +20.0 points). No reason found."
    found = beside([value(0.5)], {"m": 0.9, "m-as-run": 0.8, "other": 0.5})
    (line,) = reproduction_part(found.study, reproduction(found))["apart"]
    assert line.endswith("Tried: Other 50.0 ± 0.8 % (n = 5) (reproduced, +0.0 points). This fits: Other.")
    alone = beside([value(0.5)], {"m": 0.9})
    (line,) = reproduction_part(alone.study, reproduction(alone))["apart"]
    assert line.endswith("would fit. No reason found.")


def test_counts_say_what_they_count():
    assert finding(Count(0, 0, 0, 0, 0), "published test result") == "no published test results"
    assert finding(Count(3, 1, 2, 1, wide=1), "published value") == (
        "4 of 7 published values are reproduced, 3 as described and 1 as run; 1 of these in an interval of over ±3 points, "
        "into which almost any value fits; 2 neither; 1 without a verdict"
    )


def test_the_table_of_models_marks_what_cannot_be_compared():
    training = studies.model()["training"] | {"passes": ["test"]}
    models = {
        "m": studies.model("M", published={"values": [value(0.9)], "parameters": 9574}),
        "m-as-run": studies.model() | RUN | {"training": training},
        "other": studies.model("Other", tries="m"),
    }
    header, rows = model_rows(measured(models, {"m": 0.9, "m-as-run": 0.8, "other": 0.7}))
    assert header == ["Model", "Parameters", "Test accuracy: mean ± std over rounds"]
    assert rows == [
        ["M", "9,574 (as published)", "90.0 ± 0.8 % (n = 5)"],
        ["M, as run (test pairs passed through batch norm)", "9,574 (not published)", "80.0 ± 0.8 % (n = 5)"],
        ["Other (tries to explain M)", "9,574 (not published)", "70.0 ± 0.8 % (n = 5)"],
    ]


def test_the_report_ranks_no_model_that_test_pairs_had_a_part_in(tmp_path):
    training = studies.model()["training"] | {"passes": ["test"]}
    models = {
        "m": studies.model("M", published={"values": [value(0.9)]}),
        "m-as-run": studies.model() | RUN | {"training": training},
    }
    results = measured(models, {"m": 0.9, "m-as-run": 0.95, "constant": 0.5})
    cells = results.cells.query("model != 'constant'").assign(
        fold="all", reason="", flops=1e6, epochs=1, evaluate_seconds=0.1, device="cpu", initial_weights="random"
    )
    build_report(
        studies.config().model_dump(), [results.study], captions(), [], metrics=results.metrics, cells=cells,
        errors=None, reproduced=reproduction(results), template=ROOT / "src/twinbench/report/template.md.j2",
        output=tmp_path / "report.md",
    )  # fmt: skip
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (
        "1 of 1 published test result is reproduced, 1 as described and 0 as run. Highest test accuracy: M, 90.0"
        in report
    )
    assert "| M, as run (test pairs passed through batch norm) |" in report
    assert "| all studies | 1 | 1 | 0 | 0 | 0 | 0 |" in report
    assert "- M: it never stops.\n" in report

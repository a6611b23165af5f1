"""Sweeps: the table of their values, the best setting, the verdict, the report's part and the figures."""

import json
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from twinbench.evaluation import sweeps as evaluation
from twinbench.figures.sweeps import SweepResults, is_even_in_logarithms, is_number
from twinbench.report.sweeps import sweep_parts


def made_up(means, rounds=5, diverged=None, test=None, metric="error"):
    """Rows of a sweep over batch sizes with these validation means; ``diverged`` counts rounds of a value."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 0.01, rounds)  # the points share their data
    rows = []
    for value, mean in means.items():
        values = value if isinstance(value, tuple) else (value,)
        for round_ in range(rounds):
            ok = round_ >= (diverged or {}).get(value, 0)
            for split in ("train", "validation", "test"):
                shown = (
                    (test or {}).get(value, 0.5) if split == "test" else mean + common[round_] + rng.normal(0, 0.001)
                )
                rows.append({
                    "study": "s", "sweep": "batch", "point": "_".join(map(str, values)), "round": round_, "split": split, "metric": metric,
                    "value": shown if ok else np.nan, "train_seconds": 10 / values[0], "status": "ok" if ok else "diverged", "reason": "",
                })  # fmt: skip
    return pd.DataFrame(rows)


def swept_of(table, claimed=(), metric="error", rounds=5, reduced=None, split="validation"):
    points = {point: [int(value) for value in point.split("_")] for point in table["point"].unique()}
    columns = [list(dict.fromkeys(column)) for column in zip(*points.values(), strict=True)]
    return {
        "title": "Batch size", "metric": metric, "split": split, "published": {"conclusion": "It is 5.", "best": {}}, "points": points,
        "axes": [{"label": "batch size", "values": values, "texts": list(map(str, values))} for values in columns],
        "kept": {}, "paths": [], "figure": "sweep_line" if len(columns) == 1 else "sweep_map", "labels": {point: f"batch size {point}" for point in points},
        "claimed": list(claimed), "reduced": reduced or {}, "protocol": {"rounds": rounds},
    }  # fmt: skip


def test_the_best_setting_is_chosen_on_validation_pairs_alone():
    table = made_up({1: 0.2, 5: 0.1, 20: 0.3}, test={1: 0.4, 5: 0.9, 20: 0.0})
    best = evaluation.best_setting(evaluation.settings(table), "error")
    assert best.point == "5"
    assert best.values["test"].mean == pytest.approx(0.9)
    assert evaluation.best_setting(evaluation.settings(table), "accuracy").point == "20", "of accuracies, the highest"


def test_a_setting_with_a_diverged_round_is_not_the_best_but_stays_in_the_table():
    table = made_up({1: 0.05, 5: 0.1}, diverged={1: 2})
    found = evaluation.settings(table)
    assert evaluation.best_setting(found, "error").point == "5"
    assert (found["1"].diverged, found["1"].values["validation"].n) == (2, 3)
    everything = evaluation.settings(made_up({1: 0.05, 5: 0.1}, diverged={1: 5, 5: 1}))
    assert evaluation.best_setting(everything, "error") is None


@pytest.mark.parametrize(
    ("means", "changes", "word", "reason"),
    [
        ({1: 0.2, 5: 0.1}, {}, "agrees", "the same setting"),
        ({1: 0.2, 5: 0.1, 20: 0.0999}, {}, "agrees", "the difference from our best is not significant"),
        ({1: 0.05, 5: 0.1}, {}, "differs", "the report's setting is significantly worse than our best"),
        ({1: 0.2, 5: 0.1}, {"diverged": {5: 1}}, "differs", "the report's setting diverged"),
        ({1: 0.2, 5: 0.1}, {"diverged": {1: 1, 5: 1}}, "no verdict", "every setting diverged"),
        ({1: 0.2, 5: 0.1}, {"rounds": 4}, "no verdict", "too few rounds"),
        ({1: 0.2, 5: 0.1}, {"reduced": {"training": {"epochs": 1}}}, "no verdict", "smaller protocol"),
    ],
)
def test_agreement_with_the_report(means, changes, word, reason):
    rounds = changes.get("rounds", 5)
    table = made_up(means, rounds, changes.get("diverged"))
    found = evaluation.agreement(table, swept_of(table, ["5"], rounds=rounds, reduced=changes.get("reduced")))
    assert (found.word, found.reason) == (word, reason)


@pytest.mark.parametrize("missing", ["point == '5'", "point == '1' and round == 3"])
def test_no_verdict_where_trainings_are_missing(missing):
    table = made_up({1: 0.05, 5: 0.1})
    left = table.drop(table.query(missing).index)
    found = evaluation.agreement(left, swept_of(table, ["5"]))
    assert (found.word, found.reason) == ("no verdict", "trainings are missing")


def test_a_round_without_a_value_is_no_setting_to_choose():
    table = made_up({1: 0.2, 5: 0.1})
    table.loc[(table["point"] == "5") & (table["round"] == 0) & (table["split"] == "validation"), "value"] = np.nan
    found = evaluation.settings(table)
    assert (found["5"].diverged, found["1"].diverged) == (1, 0)
    assert evaluation.best_setting(found, "error").point == "1"


def test_of_a_conclusion_on_one_of_two_axes_the_best_point_counts():
    table = made_up({(1, 1): 0.3, (1, 2): 0.2, (5, 1): 0.25, (5, 2): 0.1})
    found = evaluation.agreement(table, swept_of(table, ["1_2", "5_2"]))
    assert (found.word, found.theirs.point) == ("agrees", "5_2")


def test_the_interval_is_students():
    summary = evaluation.settings(made_up({1: 0.2}))["1"].values["validation"]
    rows = made_up({1: 0.2}).query("split == 'validation'")["value"]
    expected = stats.t.interval(0.95, 4, loc=rows.mean(), scale=rows.sem())
    assert summary.confidence_interval() == pytest.approx(expected)


def test_the_table_has_a_row_for_a_diverged_round_and_the_kept_epochs_value(tmp_path):
    history = [
        {"round": r, "epoch": e, "split": s, "accuracy": 0.5 + r / 10 + e / 100, "digit_accuracy": 0.5}
        for r, epochs in ((0, 3), (1, 1)) for e in range(1, epochs + 1) for s in ("train", "validation", "test")
    ]  # fmt: skip
    pd.DataFrame(history).to_parquet(tmp_path / "history.parquet")
    rounds = [
        {"round": 0, "status": "ok", "reason": "done", "epochs": 3, "best_epoch": 2, "train_seconds": 1.5},
        {"round": 1, "status": "diverged", "reason": "not finite", "epochs": 1, "best_epoch": 0, "train_seconds": 0.5},
    ]
    (tmp_path / "record.json").write_text(json.dumps({"rounds": rounds}))
    sweeps = {"s.rate": {"metric": "error", "axes": ["training.optimizer.lr"], "points": {"lr-0.1": ["0.1"]}}}
    cells = [{"study": "s.rate", "model": "lr-0.1", "fold": "all", "rounds": "0-1"}]
    table = evaluation.sweep_table(sweeps, cells, [tmp_path / "record.json"], [tmp_path / "history.parquet"])
    assert list(table.columns) == [
        "study", "sweep", "point", "x_axis", "x_value", "y_axis", "y_value", "round", "split", "metric", "value", "train_seconds",
        "status", "reason",
    ]  # fmt: skip
    assert len(table) == 6
    assert table.query("round == 0")["value"].tolist() == pytest.approx([1 - 0.52] * 3)
    assert table.query("round == 1")["value"].isna().all()
    # No finite validation loss, so no best epoch: the last one's weights were kept.
    rounds[0]["best_epoch"] = 0
    (tmp_path / "record.json").write_text(json.dumps({"rounds": rounds}))
    last = evaluation.sweep_table(sweeps, cells, [tmp_path / "record.json"], [tmp_path / "history.parquet"])
    assert last.query("round == 0")["value"].tolist() == pytest.approx([1 - 0.53] * 3)
    first = table.iloc[0]
    assert (first["study"], first["sweep"], first["x_axis"], first["x_value"], first["y_axis"]) == (
        "s",
        "rate",
        "training.optimizer.lr",
        "0.1",
        "",
    )


def test_the_report_names_best_setting_conclusion_and_verdict():
    table = made_up({1: 0.2, 5: 0.1, 20: 0.3}, diverged={20: 5})
    (part,) = sweep_parts({"sweeps": {"s.batch": swept_of(table, ["5"])}}, table)
    assert part["header"] == ["Batch size", "Validation error", "Training, s a round", "Rounds diverged"]
    assert [row[0] for row in part["rows"]] == ["1", "5", "20"]
    assert part["rows"][2][1:] == ["no result", "no result", "5"]
    assert part["best"].startswith("batch size 5, validation error ")
    assert "% (95 % interval" in part["best"]
    assert "on the test pairs 50.0" in part["best"]
    assert part["verdict"].startswith("agrees, the same setting; batch size 5: ")
    shown = swept_of(table, ["5"], split="test")
    (part,) = sweep_parts({"sweeps": {"s.batch": shown}}, table)
    assert part["header"][1:3] == ["Validation error", "Test error"]


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        ([1, 2, 3, 4], False),
        ([1, 5, 20, 100], True),
        ([0.001, 0.01, 0.1], True),
        ([0, 1, 10], False),
        ([1, 100], False),
        ([5], False),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are_spaced_so(values, logarithmic):
    assert is_even_in_logarithms(values) == logarithmic
    assert not is_number([True, False])


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """A function that draws the figure of a sweep and returns its panels."""

    def draw(table, swept):
        module, kept = import_module(f"twinbench.figures.{swept['figure']}"), []
        save = module.save
        monkeypatch.setattr(module, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
        module.draw_sweep(SweepResults(table, swept), tmp_path / "sweep.png")
        assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
        return kept[0].axes

    return draw


def test_a_line_shows_means_best_and_divergence(drawn):
    table = made_up({1: 0.2, 5: 0.1, 20: 0.15, 100: 0.4}, diverged={1: 1, 100: 5})
    metric, seconds = drawn(table, swept_of(table, ["20"]))
    lines = {line.get_label(): line for line in metric.lines if not line.get_label().startswith("_")}
    means = table.query("split == 'validation'").groupby("point", sort=False)["value"].mean().dropna()
    np.testing.assert_allclose(lines["validation"].get_ydata(), means)
    assert lines["validation"].get_xdata().tolist() == [1, 5, 20]
    assert lines["best on validation pairs"].get_xdata() == [5]
    assert lines["the report's best"].get_xdata() == [20, 20]
    crosses = [line.get_xdata()[0] for line in metric.lines if line.get_marker() == "X"]
    assert crosses == [1, 100]
    assert [text.get_text() for text in metric.texts] == ["1 of 5", "5 of 5"]
    assert metric.get_xscale() == seconds.get_xscale() == seconds.get_yscale() == "log"
    np.testing.assert_allclose(seconds.lines[0].get_ydata(), [10, 2, 0.5])


def test_a_line_over_words_has_their_positions(drawn):
    table = made_up({1: 0.2, 2: 0.1})
    swept = swept_of(table)
    swept |= {
        "points": {"1": ["tanh"], "2": ["relu"]},
        "axes": [{"label": "activation", "values": ["tanh", "relu"], "texts": ["tanh", "relu"]}],
    }
    metric, _ = drawn(table, swept)
    assert [label.get_text() for label in metric.get_xticklabels()] == ["tanh", "relu"]


def test_a_map_shows_means_best_and_divergence(drawn):
    table = made_up({(1, 1): 0.3, (1, 2): 0.2, (5, 1): 0.25, (5, 2): 0.1}, diverged={(1, 1): 5, (5, 1): 1})
    panels = drawn(table, swept_of(table, ["1_2", "5_2"]))
    shown = panels[0].images[0].get_array()
    means = table.query("split == 'validation'").groupby("point")["value"].mean()
    assert shown.mask.tolist() == [[True, False], [False, False]]
    np.testing.assert_allclose(shown[1].data, [means["1_2"], means["5_2"]])
    assert sum("diverged" in text.get_text() for text in panels[0].texts) == 2
    boxes = [patch for patch in panels[0].patches if not patch.get_hatch()]
    assert [box.get_linestyle() for box in boxes] == [":", ":", "-"]
    assert boxes[-1].get_xy() == pytest.approx((1 - 0.47, 1 - 0.47))


def test_figures_of_sweeps_where_everything_diverged(drawn):
    table = made_up({1: 0.2, 5: 0.1}, diverged={1: 5, 5: 5})
    drawn(table, swept_of(table, ["5"]))
    table = made_up({(1, 1): 0.3, (5, 2): 0.1}, diverged={(1, 1): 5, (5, 2): 5})
    drawn(table, swept_of(table))

"""Sweeps: the table of their values, the best setting, the verdict, the report's part and the figures."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.unit import studies
from twinbench.evaluation import sweeps as evaluation
from twinbench.figures.style import StudyResults
from twinbench.figures.sweep_line import is_even_in_logarithms, is_number
from twinbench.metric import METRICS
from twinbench.report.sweeps import sweep_part
from twinbench.spec.study import Study


def made_up(means, rounds=5, diverged=None, test=None):
    """Rows of a sweep over batch sizes with these validation means; ``diverged`` counts rounds of a value."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 0.01, rounds)  # the settings share their data
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
                    "setting": "_".join(map(str, values)), "round": round_, "split": split, "value": shown if ok else np.nan,
                    "train_seconds": 10 / values[0], "status": "ok" if ok else "diverged",
                })  # fmt: skip
    return pd.DataFrame(rows)


def swept_of(table, claimed=(), metric="error", rounds=5, reduced=None, split="validation", values=None) -> Study:
    """The sweep that a made-up table is of; ``values`` are those of the settings, where their names do not say them."""
    named = {name: [int(value) for value in name.split("_")] for name in table["setting"].unique()}
    values = values or named
    columns = [list(dict.fromkeys(column)) for column in zip(*values.values(), strict=True)]
    axes = [
        {"path": path, "label": "batch size", "values": column, "texts": list(map(str, column))}
        for path, column in zip(("training.batch_size", "options.width"), columns, strict=False)
    ]
    swept = {
        "parent": "s", "name": "batch", "base": "m", "metric": metric, "split": split, "reduced": {}, "conclusion": "It is 5.",
        "claimed": list(claimed), "axes": axes, "settings": values,
    }  # fmt: skip
    models = {name: studies.model(f"batch size {name}") for name in values}
    return studies.made_up(
        models, {"rounds": rounds}, name="s.batch", title="Batch size", swept=swept, reduced=reduced or {},
        figures=["sweep_line" if len(axes) == 1 else "sweep_map"],
    )  # fmt: skip


def tables_of(table, metric="error"):
    """The metrics and the cells that a made-up table comes of: a training that diverged has no metrics."""
    found = METRICS[metric]
    ok = table[table["status"] == "ok"]
    metrics = pd.DataFrame({"study": "s.batch", "model": ok["setting"], "fold": "all", "round": ok["round"],
                            "split": ok["split"], "metric": found.column, "value": found.of(ok["value"])})  # fmt: skip
    constant = table.drop_duplicates("split")[["round", "split"]].assign(
        study="s.batch", model="constant", fold="all", metric=found.column, value=0.5
    )
    others = metrics.assign(metric="loss", value=7.0)
    cells = table.drop_duplicates(["setting", "round"])[["setting", "round", "train_seconds", "status"]]
    cells = cells.rename(columns={"setting": "model"}).assign(study="s.batch", fold="all")
    return pd.concat([metrics, others, constant], ignore_index=True), cells.reset_index(drop=True)


def test_the_best_setting_is_chosen_on_validation_pairs_alone():
    table = made_up({1: 0.2, 5: 0.1, 20: 0.3}, test={1: 0.4, 5: 0.9, 20: 0.0})
    best = evaluation.best_setting(evaluation.settings(table), "error")
    assert best.name == "5"
    assert best.values["test"].mean == pytest.approx(0.9)
    assert evaluation.best_setting(evaluation.settings(table), "accuracy").name == "20", "of accuracies, the highest"


def test_a_setting_with_a_diverged_round_is_not_the_best_but_stays_in_the_table():
    table = made_up({1: 0.05, 5: 0.1}, diverged={1: 2})
    found = evaluation.settings(table)
    assert evaluation.best_setting(found, "error").name == "5"
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


@pytest.mark.parametrize("missing", ["setting == '5'", "setting == '1' and round == 3"])
def test_no_verdict_where_trainings_are_missing(missing):
    table = made_up({1: 0.05, 5: 0.1})
    left = table.drop(table.query(missing).index)
    found = evaluation.agreement(left, swept_of(table, ["5"]))
    assert (found.word, found.reason) == ("no verdict", "trainings are missing")


def test_a_round_without_a_value_is_no_setting_to_choose():
    table = made_up({1: 0.2, 5: 0.1})
    table.loc[(table["setting"] == "5") & (table["round"] == 0) & (table["split"] == "validation"), "value"] = np.nan
    found = evaluation.settings(table)
    assert (found["5"].diverged, found["1"].diverged) == (1, 0)
    assert evaluation.best_setting(found, "error").name == "1"


def test_of_a_conclusion_on_one_of_two_axes_the_best_setting_counts():
    table = made_up({(1, 1): 0.3, (1, 2): 0.2, (5, 1): 0.25, (5, 2): 0.1})
    found = evaluation.agreement(table, swept_of(table, ["1_2", "5_2"]))
    assert (found.word, found.theirs.name) == ("agrees", "5_2")


def test_the_interval_is_students():
    summary = evaluation.settings(made_up({1: 0.2}))["1"].values["validation"]
    rows = made_up({1: 0.2}).query("split == 'validation'")["value"]
    expected = stats.t.interval(0.95, 4, loc=rows.mean(), scale=rows.sem())
    assert summary.confidence_interval() == pytest.approx(expected)


def test_the_table_has_a_row_for_a_diverged_round_and_values_of_the_metric():
    splits = ("train", "validation", "test")
    cells = pd.DataFrame({
        "study": "s.rate", "model": "lr-0.1", "fold": "all", "round": [0, 1], "status": ["ok", "diverged"],
        "reason": ["done", "not finite"], "epochs": [3, 1], "best_epoch": [2, 0], "train_seconds": [1.5, 0.5],
    })  # fmt: skip
    rows = [
        ("lr-0.1", 0, split, metric, value) for split in splits for metric, value in (("accuracy", 0.52), ("loss", 3))
    ]
    rows += [("constant", round_, split, "accuracy", 0.9) for round_ in (0, 1) for split in splits]
    metrics = pd.DataFrame(rows, columns=["model", "round", "split", "metric", "value"])
    table = evaluation.sweep_table("error", metrics, cells)
    assert list(table.columns) == ["setting", "round", "train_seconds", "status", "split", "value"]
    assert len(table) == 6
    assert sorted(table["split"].unique()) == sorted(splits)
    assert table["setting"].unique().tolist() == ["lr-0.1"], "the baseline is no setting"
    assert table.query("round == 0")["value"].tolist() == pytest.approx([1 - 0.52] * 3)
    assert table.query("round == 1")["value"].isna().all()
    assert table.groupby("round")["train_seconds"].unique().map(list).to_dict() == {0: [1.5], 1: [0.5]}
    # A finite training may have a value that is not: it counts as none.
    infinite = metrics.assign(value=metrics["value"].where(metrics["metric"] != "loss", np.inf))
    losses = evaluation.sweep_table("loss", infinite, cells)
    assert losses["value"].isna().all()
    assert evaluation.sweep_table("loss", metrics, cells).query("round == 0")["value"].tolist() == [3] * 3
    # Of a training without metrics there is a row as well; its status says that it ended well.
    lost = evaluation.sweep_table("error", metrics[metrics["model"] == "constant"], cells)
    assert (len(lost), lost["value"].isna().all()) == (6, True)


def test_the_table_is_that_of_the_tables_it_comes_of():
    table = made_up({1: 0.2, 5: 0.1}, diverged={5: 2})
    found = evaluation.sweep_table("error", *tables_of(table))
    pd.testing.assert_frame_equal(found[list(table.columns)], table, check_exact=False)


def test_the_report_names_best_setting_conclusion_and_verdict():
    table = made_up({1: 0.2, 5: 0.1, 20: 0.3}, diverged={20: 5})
    part = sweep_part(swept_of(table, ["5"]), *tables_of(table))
    assert part["header"] == ["Batch size", "Validation error", "Training, seconds per round", "Rounds diverged"]
    assert [row[0] for row in part["rows"]] == ["1", "5", "20"]
    assert part["rows"][2][1:] == ["no result", "no result", "5"]
    assert part["best"].startswith("batch size 5, validation error ")
    assert "% (95 % interval" in part["best"]
    assert "on the test pairs 50.0" in part["best"]
    assert part["verdict"].startswith("agrees, the same setting; batch size 5: ")
    shown = swept_of(table, ["5"], split="test")
    part = sweep_part(shown, *tables_of(table))
    assert part["header"][1:3] == ["Validation error", "Test error"]
    assert sweep_part(swept_of(table), *tables_of(table))["verdict"] == "", "the report names no setting"


def test_a_setting_of_which_nothing_is_there_is_missing_in_a_partial_report():
    table = made_up({1: 0.2, 5: 0.1, 20: 0.3})
    part = sweep_part(swept_of(table, ["5"]), *tables_of(table[table["setting"] != "5"]))
    assert part["rows"][1] == ["5", "missing", "missing", "–"]
    assert part["best"].startswith("batch size 1, ")
    assert part["verdict"] == "no verdict: trainings are missing"


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

    def draw(table, study):
        module, kept = import_module(f"twinbench.figures.{study.figures[0]}"), []
        save = module.save
        monkeypatch.setattr(
            module, "save", lambda figure, *rest, **named: (kept.append(figure), save(figure, *rest, **named))
        )
        metrics, cells = tables_of(table)
        module.draw(StudyResults(**study.shown(), metrics=metrics, cells=cells), tmp_path / "sweep.png")
        assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
        return kept[0].axes

    return draw


def test_a_line_shows_means_best_and_divergence(drawn):
    table = made_up({1: 0.2, 5: 0.1, 20: 0.15, 100: 0.4}, diverged={1: 1, 100: 5})
    metric, seconds = drawn(table, swept_of(table, ["20"]))
    lines = {line.get_label(): line for line in metric.lines if not line.get_label().startswith("_")}
    means = table.query("split == 'validation'").groupby("setting", sort=False)["value"].mean().dropna()
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
    metric, _ = drawn(table, swept_of(table, values={"1": ["tanh"], "2": ["relu"]}))
    assert [label.get_text() for label in metric.get_xticklabels()] == ["tanh", "relu"]


def test_a_map_shows_means_best_and_divergence(drawn):
    table = made_up({(1, 1): 0.3, (1, 2): 0.2, (5, 1): 0.25, (5, 2): 0.1}, diverged={(1, 1): 5, (5, 1): 1})
    panels = drawn(table, swept_of(table, ["1_2", "5_2"]))
    shown = panels[0].images[0].get_array()
    means = table.query("split == 'validation'").groupby("setting")["value"].mean()
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

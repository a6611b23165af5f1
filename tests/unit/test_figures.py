"""Figures of made-up results: how many panels they have, and whether these show what the tables hold."""

import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import StepPatch

from twinbench.figures.catalog import NEEDS, figures
from twinbench.figures.style import MODEL_COLOURS, StudyResults, looks, published_marks
from twinbench.spec.fields import Task

EPOCHS = 6


def made_up(count: int) -> StudyResults:
    """Results of ``count`` models: ``m0`` has no digit head, the weights of the last one's objective change."""
    rng = np.random.default_rng(count)
    names = [f"m{number}" for number in range(count)]
    history, errors, hardest = [], [], []
    for number, name in enumerate(names):
        for round_ in range(3):
            for epoch in range(1, EPOCHS + 1):
                share = 1 - epoch / EPOCHS if name == names[-1] else 1.0
                for split in ("train", "test"):
                    losses = rng.uniform(0.1, 0.2, 2) + (number + 1) / epoch / 10
                    history.append({
                        "study": "s", "model": name, "fold": "all", "round": round_, "epoch": epoch, "split": split,
                        "loss": losses.sum(), "target_loss": losses[0], "digits_loss": np.nan if number == 0 else losses[1],
                        "target_weight": 1 - share if name == names[-1] else 1.0, "digits_weight": share,
                        "accuracy": min(0.99, 0.5 + epoch / 20 + number / 30), "digit_accuracy": 0.5, "seconds": 0.1,
                    })  # fmt: skip
        pairs = rng.integers(20, 40, (10, 10))
        pairs[0, 9] = 0
        digits = np.indices((10, 10)).reshape(2, 100)
        wrong = rng.binomial(pairs.ravel(), 0.4 / (1 + np.abs(digits[0] - digits[1])))
        of_model = {"left_digit": digits[0], "right_digit": digits[1], "pairs": pairs.ravel(), "errors": wrong}
        errors.append(pd.DataFrame({"study": "s", "model": name} | of_model))
    for rank in range(1, 13):
        wrong = max(1, count - rank // 3)
        for number, name in enumerate(names):
            hardest.append({
                "study": "s", "rank": rank, "round": 0, "pair": rank, "left_index": 2 * rank, "right_index": 2 * rank + 1,
                "left_digit": rank % 10, "right_digit": 4, "target": int(rank % 10 <= 4), "wrong": wrong / count,
                "model": name, "answer": int((rank % 10 <= 4) ^ (number < wrong)), "left_predicted": -1 if number == 0 else 7,
                "right_predicted": -1 if number == 0 else 1, "left_image": rng.uniform(0, 255, 196).tolist(),
                "right_image": rng.uniform(0, 255, 196).tolist(),
            })  # fmt: skip
    metrics = [("s", name, "all", 0, "test", "accuracy", 0.8) for name in [*names, "constant"]]
    return StudyResults(
        metrics=pd.DataFrame(metrics, columns=["study", "model", "fold", "round", "split", "metric", "value"]),
        history=pd.DataFrame(history),
        errors=pd.concat(errors, ignore_index=True),
        hardest=pd.DataFrame(hardest),
        labels={name: f"model {name} with a long label" for name in names} | {"constant": "majority class"},
        published={},
        swept=None,
    )


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """A function that draws a figure by name and returns its visible panels."""

    def draw(name, results):
        module = import_module(f"twinbench.figures.{name}")
        kept = []
        save = module.save
        monkeypatch.setattr(
            module, "save", lambda figure, *rest, **named: (kept.append(figure), save(figure, *rest, **named))
        )
        module.draw(results, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        return [panel for panel in kept[0].axes if panel.get_visible()], kept[0]

    return draw


def texts(panel):
    return [text.get_text() for text in panel.texts]


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_digit_pairs_show_the_rates_and_the_counts(drawn, count):
    results = made_up(count)
    panels, _ = drawn("digit_pairs", results)
    assert len(panels) == count + 2  # and the counts, and the colour bar
    rows = results.errors.query("model == 'm0'")
    shown = panels[0].images[0].get_array()
    rates = (rows["errors"] / rows["pairs"]).to_numpy().reshape(10, 10)
    np.testing.assert_allclose(shown.filled(np.nan), rates)
    assert shown.mask[0, 9]
    assert shown.mask.sum() == 1, "digits that no pair has are left out"
    assert all(panel.images[0].norm.vmax == panels[0].images[0].norm.vmax for panel in panels[:count])
    near = rows[(rows["left_digit"] - rows["right_digit"]).abs() <= 1]
    of_errors, of_pairs = (near[name].sum() / rows[name].sum() for name in ("errors", "pairs"))
    assert panels[0].get_title().endswith(f"{of_errors:.0%} of errors, {of_pairs:.0%} of pairs")
    assert len([patch for patch in panels[0].patches if isinstance(patch, StepPatch)]) == 2
    most = max(results.errors.groupby("model")["pairs"], key=lambda pairs: pairs[1].sum())[1]
    assert texts(panels[count]) == [str(pairs) for pairs in most]


@pytest.mark.parametrize("count", [1, 4, 9])
def test_hardest_marks_the_wrong_models(drawn, count):
    results = made_up(count)
    panels, figure = drawn("hardest", results)
    assert len(panels) == 12
    for panel, (_, rows) in zip(panels, results.hardest.groupby("rank"), strict=True):
        assert len(panel.images) == 2
        marks = [line for line in panel.lines if line.get_marker() == "s"]
        filled = [line.get_markerfacecolor() != "none" for line in marks]
        assert filled == (rows["answer"] != rows["target"]).tolist()
        assert panel.get_title().endswith(f": {sum(filled)} of {count} wrong")
        assert texts(panel) == ["7 1"] * (count - 1)  # m0 names no digits
    np.testing.assert_allclose(panels[0].images[1].get_array().ravel(), results.hardest["right_image"][0])
    assert len(figure.legends[0].get_texts()) == count + 2


def test_together_has_a_curve_a_model_in_each_of_four_panels(drawn):
    results = made_up(9)
    panels, figure = drawn("together", results)
    assert [len(panel.lines) for panel in panels] == [9] * 4
    assert len({line.get_color() for line in panels[0].lines}) == len(MODEL_COLOURS) == 9
    test = results.history.query("model == 'm2' and split == 'test'")
    np.testing.assert_allclose(panels[1].lines[2].get_ydata(), test.groupby("epoch")["target_loss"].mean())
    assert len(figure.legends[0].get_texts()) == 9


def test_together_leaves_out_the_loss_of_a_model_without_target_head(drawn):
    results = made_up(3)
    results.history.loc[results.history["model"] == "m1", "target_loss"] = np.nan
    panels, figure = drawn("together", results)
    assert [len(panel.lines) for panel in panels] == [2, 2, 3, 3]
    assert len(figure.legends[0].get_texts()) == 3


def test_loss_parts_draw_only_models_whose_weights_change(drawn):
    results = made_up(4)
    panels, _ = drawn("loss_parts", results)
    assert len(panels) == 2, "training and test pairs of the one model"
    lines = {line.get_label(): line.get_ydata() for line in panels[1].lines}
    assert list(lines) == ["digit loss", "digit loss × weight", "target loss", "target loss × weight", "objective"]
    means = results.history.query("model == 'm3' and split == 'test'").groupby("epoch").mean(numeric_only=True)
    weight = 1 - np.arange(1, EPOCHS + 1) / EPOCHS
    np.testing.assert_allclose(lines["digit loss × weight"], weight * means["digits_loss"])
    np.testing.assert_allclose(lines["objective"], weight * means["digits_loss"] + (1 - weight) * means["target_loss"])


def test_figures_without_errors_say_so(drawn):
    results = made_up(2)
    results.errors["errors"] = 0
    panels, _ = drawn("digit_pairs", results)
    assert panels[0].get_title().endswith("no errors")
    empty = StudyResults(**vars(results) | {"hardest": results.hardest.head(0)})
    _, figure = drawn("hardest", empty)
    assert "No pair was answered wrongly." in [text.get_text() for text in figure.texts]


def test_eighteen_models_and_their_runs_look_different():
    models = [f"m{number}" for number in range(18)]
    as_run = {f"{name}-as-run": name for name in models}
    found = looks([name for model in models for name in (model, f"{model}-as-run")], as_run)
    assert len({(look.colour, look.line) for look in found.values()}) == 36
    assert len({(look.colour, look.mark) for look in found.values()}) == 36
    assert all(found[run].colour == found[described].colour for run, described in as_run.items())
    assert [name for name, look in found.items() if look.as_run] == list(as_run)


def test_a_model_as_run_alone_has_a_look_of_its_own():
    """In a partial report, whose model as described is missing."""
    found = looks(["a", "b-as-run"], {"b-as-run": "b"})
    assert found["a"].colour != found["b-as-run"].colour
    assert found["b-as-run"].as_run


def test_a_model_as_run_has_the_mark_of_the_published_value():
    marks = published_marks({"a": 0.9}, ["a", "a-as-run", "b"], {"a-as-run": "a"})
    assert marks["a"] == marks["a-as-run"] == 0.9
    assert np.isnan(marks["b"])


def test_the_boxes_of_models_as_run_are_dashed(drawn):
    results = made_up(2)
    table = pd.concat([results.metrics.assign(round=round_) for round_ in range(5)]).assign(reported=True)
    run = StudyResults(**vars(results) | {"metrics": table, "as_run": {"m1": "m0"}, "published": {"m0": 0.7}})
    panels, _ = drawn("rounds", run)
    lines = {line.get_label(): line for line in panels[0].lines}
    assert lines["published"].get_xdata().tolist() == [0.7, 0.7]
    assert {"-", "--"} <= {line.get_linestyle() for line in panels[0].lines}


@pytest.mark.parametrize("name", figures())
def test_a_figure_declares_what_it_draws_from(name):
    module, declared = import_module(f"twinbench.figures.{name}"), figures()[name]
    assert " ".join(module.__doc__.split()).startswith(declared.caption[:60])
    assert declared.tables == module.TABLES
    assert set(declared.tables) <= {field.name for field in fields(StudyResults)} - {
        "labels",
        "published",
        "swept",
        "as_run",
    }
    assert declared.task == getattr(module, "TASK", None)
    assert declared.task in (None, *get_args(Task))
    assert declared.needs == getattr(module, "NEEDS", None)
    assert declared.needs in (None, "sweep", *NEEDS)


def test_drawing_does_not_import_torch():
    imports = "\n".join(f"import twinbench.figures.{name}" for name in figures())
    code = f"import sys\n{imports}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

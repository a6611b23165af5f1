"""The disc's way from points to the report: trained nets, their predictions, metrics, figures and failures."""

from importlib import import_module
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.conftest import ROOT, put
from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_config, load_study
from twinbench.evaluation.aggregation import study_cells, study_metrics
from twinbench.evaluation.metrics import metrics
from twinbench.evaluation.predictions import predict_study
from twinbench.evaluation.reproduction import reproduction
from twinbench.evaluation.verdicts import Measured
from twinbench.figures.catalog import figures
from twinbench.figures.style import StudyResults
from twinbench.files import read_tensors
from twinbench.report.build import build_report
from twinbench.spec.training import Cell
from twinbench.tasks import disc, draw
from twinbench.tasks.tensors import load_splits
from twinbench.training.cell import Inputs, Outputs, train_cell

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")) | {"scale": "smoke"}
STUDY = load_study(ROOT / "config/studies/disc.yaml", load_config(CONFIG))[0]


def test_metrics_by_hand():
    none = dict.fromkeys(("left_nll", "right_nll", "posterior"), np.nan) | {
        f"{side}_{kind}": -1 for side in ("left", "right") for kind in ("predicted", "digit")
    }
    predictions = pd.DataFrame(
        {
            "fold": "all", "round": 0, "split": ["train", "train", "train", "test", "test", "grid"],
            "target": [1, 1, 0, 0, 0, 1], "target_logit": [0.5, -1.0, -3.0, -1.0, 1.0, 9.0],
        }
    ).assign(**none)  # fmt: skip
    table = metrics(predictions, "target", {"target": 0.5, "digits": 0.0}, "mse")
    found = table.set_index(["split", "metric"])["value"].to_dict()
    loss = {"train": (0.25 + 4 + 4) / 3, "test": (0 + 4) / 2}
    accuracy = {"train": 2 / 3, "test": 0.5}
    expected = {(split, name): accuracy[split] for split in loss for name in ("accuracy", "accuracy_target")}
    expected |= {(split, "target_loss"): value for split, value in loss.items()}
    expected |= {(split, "loss"): value / 2 for split, value in loss.items()}
    assert found == pytest.approx(expected)  # the grid is no data


def trained(study, folder, models, rounds=range(2), **changed):
    """Train a study's models on its points as its jobs do; return what its rules write, by name."""
    folder.mkdir(exist_ok=True)
    examples = folder / "examples.parquet"
    draw(rounds=rounds, images=None, **study.draw(30_000)).to_parquet(examples)
    outputs = []
    for model in models:
        cell = study.cell(model)
        for path, value in changed.get(model, {}).items():
            cell = put(cell, path, value)
        outputs.append(Outputs(**{name: folder / f"{model}-{name}" for name in ("weights", "history", "record")}))
        train_cell(
            Cell(**cell),
            rounds,
            Inputs([examples]),
            outputs[-1],
            threads=1,
            gpu=False,
            code="",
            checkpoint=folder / "c",
        )
    predictions = predict_study(
        {model: study.predicted()[model] for model in models}, study.folds, images=None, examples=[examples],
        records=[output.record for output in outputs], weights=[output.weights for output in reversed(outputs)],
    )  # fmt: skip
    return {
        "examples": pd.read_parquet(examples), "predictions": predictions,
        "metrics": study_metrics(predictions, study.scoring(), study.name),
        "cells": study_cells([output.record for output in outputs]),
        "history": pd.concat([pd.read_parquet(output.history) for output in outputs], ignore_index=True),
        "weights": {model: read_tensors(output.weights) for model, output in zip(models, outputs, strict=True)},
    }  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return trained(STUDY, tmp_path_factory.mktemp("disc"), list(STUDY.models))


@pytest.mark.parametrize("model", list(STUDY.models))
def test_predictions_are_the_stored_nets_outputs(found, model):
    entry, rows = STUDY.models[model], found["predictions"][found["predictions"]["model"] == model]
    data = load_splits(Cell(**STUDY.cell(model)).inputs, {}, found["examples"], "all", torch.device("cpu"))
    for round_, splits in data.items():
        net = architectures()[entry.architecture].build(**entry.options)
        net.load_state_dict({name: tensor[round_] for name, tensor in found["weights"][model].items()})
        for name, split in splits.items():
            of_split = rows[(rows["round"] == round_) & (rows["split"] == name)]
            outputs = net.net.forward(split.inputs)[:, 0]
            # Other batches, so the sums may be in another order: float32 rounding.
            np.testing.assert_allclose(of_split["target_logit"], outputs, rtol=1e-5, atol=1e-6)
            assert of_split["target"].tolist() == split.target.tolist()
            assert (of_split["left_predicted"] == -1).all()
            assert of_split["posterior"].isna().all()
    assert set(rows["split"]) == {"train", "test", "grid"}


def test_metrics_agree_with_the_last_epochs_history(found):
    history = found["history"]
    last = history[history["epoch"] == history["epoch"].max()].set_index(["model", "round", "split"])
    values = found["metrics"].set_index(["model", "round", "split", "metric"])["value"]
    for key, row in last.iterrows():
        for metric in ("accuracy", "loss", "target_loss"):
            assert values[(*key, metric)] == pytest.approx(row[metric], rel=1e-5)
    assert len(last) == 3 * 2 * 2


def test_the_constant_baseline_names_the_majority_of_the_training_points(found):
    table, values = found["examples"], found["metrics"].query("model == 'constant'")
    for round_, split in product(range(2), ("train", "test")):
        of_round = table[table["round"] == round_]
        majority = of_round.loc[of_round["split"] == "train", "target"].mean() > 0.5
        right = (of_round.loc[of_round["split"] == split, "target"] == majority).mean()
        rows = values.query("round == @round_ and split == @split and metric == 'accuracy'")
        assert rows["value"].tolist() == pytest.approx([right])


def test_the_record_is_that_of_any_training(found):
    cells = found["cells"]
    assert len(cells) == 3 * 2
    assert set(cells["strategy"]) == {"scratch"}
    assert set(cells["initial_weights"]) == {"random"}
    assert set(cells["parameters"]) == {2 * 128 + 128 + 128 * 128 + 128 + 128 + 1}
    assert set(cells["flops"]) == {2 * (2 * 128 + 128 * 128 + 128)}
    assert set(cells["status"]) == {"ok"}


def test_nothing_but_the_seed_decides_the_weights(found, tmp_path):
    """Round 1 alone, trained in a job of its own, as round 1 of the block."""
    alone = trained(STUDY, tmp_path, ["relu"], rounds=range(1, 2))
    for name, tensor in alone["weights"]["relu"].items():
        assert torch.equal(tensor[0], found["weights"]["relu"][name][1])


def test_a_diverged_model_is_a_row_of_the_report(tmp_path):
    """Both rounds of one of two models diverge: the report has their rows, and no result for the model."""
    study = STUDY.model_copy(update={"models": {name: STUDY.models[name] for name in ("relu", "tanh")}})
    found = trained(study, tmp_path, ["relu", "tanh"], tanh={"training.optimizer.lr": 1e6})
    cells = found["cells"].set_index(["model", "round"])
    assert (cells["status"]["tanh"] == "diverged").all()
    assert (cells["status"]["relu"] == "ok").all()
    assert set(found["predictions"]["model"]) == {"relu", "constant"}
    build_report(
        load_config(CONFIG).model_dump(), [study],
        {name: figure.caption for name, figure in figures().items()} | {"overview": ""}, [],
        metrics=found["metrics"], cells=found["cells"], errors=None,
        reproduced=reproduction(Measured.of(study, found["metrics"], found["cells"])),
        template=ROOT / "src/twinbench/report/template.md.j2", output=tmp_path / "report.md",
    )  # fmt: skip
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    for round_ in (0, 1):
        reason = cells["reason"]["tanh", round_]
        assert reason.startswith("weights not finite after epoch ")
        assert any("tanh" in line and f"| {round_} |" in line and reason in line for line in lines)
    (row,) = (line for line in lines if "2×128, Tanh" in line and "test error" in line)
    assert "| test error | 50.0 % | no result | no verdict (no result of ours) |" in row
    assert not any("nan" in line.split() for line in lines)


@pytest.mark.parametrize("figure", STUDY.figures)
@pytest.mark.parametrize("diverged", [[], ["tanh"], ["relu", "tanh"]], ids=["none", "one", "all"])
def test_figures_are_drawn_whatever_diverged(tmp_path, figure, diverged):
    table = disc.draw(range(2), counts={"train": 30, "test": 20}, folds=None, seed=1)
    rng = np.random.default_rng(0)
    history, predictions = [], []
    for model in ("relu", "tanh"):
        for round_, split in product(range(2), ("train", "test")):
            last = 2 if model in diverged else 3
            loss = np.where(np.arange(1, last + 1) < 2, 1.0, np.nan if model in diverged else 0.5)
            columns = {"epoch": range(1, last + 1), "split": split, "loss": loss, "accuracy": rng.random(last)}
            history.append(pd.DataFrame({"model": model, "fold": "all", "round": round_} | columns))
        rows = table.assign(model=model, fold="all", target_logit=table["x"] - 0.5)
        predictions.append(rows[:0] if model in diverged else rows)
    results = StudyResults(
        history=pd.concat(history, ignore_index=True), predictions=pd.concat(predictions, ignore_index=True),
        labels={"relu": "ReLU", "tanh": "Tanh", "constant": "majority class"}, published={"relu": 0.97}, swept=None,
    )  # fmt: skip
    path = tmp_path / "figure.png"
    import_module(f"twinbench.figures.{figure}").draw(results, path)
    assert path.read_bytes().startswith(b"\x89PNG")

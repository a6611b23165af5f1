"""Sweeps: from the study file to points, their cells and their pairs; mistakes are named."""

import copy
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, put
from twinbench.config.loading import load_config, load_study
from twinbench.config.reading import ConfigError
from twinbench.data.pairs import draw_pairs
from twinbench.planning import Plan

STUDY = yaml.safe_load((ROOT / "config/studies/dense-vs-conv.yaml").read_text(encoding="utf-8"))
BATCH, RATE = "sweeps.dense-batch", "sweeps.dense-rate"


def study_with(tmp_path, *changes, scale="paper"):
    """Load dense-vs-conv with some keys changed; a key is a list where one of its parts holds dots."""
    tree = STUDY
    for path, value in changes:
        if isinstance(path, str):
            tree = put(tree, path, value)
        else:
            tree = copy.deepcopy(tree)
            node = tree
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
    file = tmp_path / "dense-vs-conv.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return load_study(file, scale)


def plan_of(study, sweeps=True):
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw | {"scale": "paper", "studies": [study.name], "sweeps": sweeps}), {study.name: study})


def test_one_axis_makes_a_point_a_value(tmp_path):
    study = study_with(tmp_path)
    swept = study.sweeps["dense-batch"]
    assert list(swept.points) == [f"batch_size-{size}" for size in (1, 5, 20, 50, 100)]
    trainings = swept.study.trainings
    assert [trainings[point].batch_size for point in swept.points] == [1, 5, 20, 50, 100]
    assert (
        len({training.model_copy(update={"batch_size": 1}).model_dump_json() for training in trainings.values()}) == 1
    )
    model = swept.study.file.models["batch_size-5"]
    assert (model.options, model.decision, model.objective.trained) == (
        {"shared": True, "width": 500, "layers": 2},
        "digits",
        ["digits"],
    )
    assert model.label == "batch size in pairs 5"
    assert swept.best == {"training.batch_size": 5}
    protocol = swept.study.protocol
    assert (protocol.rounds, protocol.pairs.train, protocol.pairs.validation, protocol.pairs.test) == (5, 500, 500, 500)
    assert study.protocol.pairs.validation == 0, "the study itself is as published"


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (2, [1, 100]),
        (3, [1, 20, 100]),
        (4, [1, 5, 50, 100]),
        (5, [1, 5, 20, 50, 100]),
        (9, [1, 5, 20, 50, 100]),
    ],
)
def test_a_scale_may_take_fewer_values(tmp_path, count, sizes):
    study = study_with(tmp_path, ("scales.smoke.sweeps.values", count), scale="smoke")
    swept = study.sweeps["dense-batch"]
    assert [swept.points[point]["training.batch_size"] for point in swept.points] == sizes
    assert swept.axes == {"training.batch_size": sizes}
    assert swept.best == {"training.batch_size": 5}, "what the report found best is known, trained here or not"
    assert len(study.sweeps["dense-rate"].points) == min(count, 5) * min(count, 2)


def test_two_axes_make_a_point_a_combination(tmp_path):
    swept = study_with(tmp_path).sweeps["dense-rate"]
    assert list(swept.points)[:3] == ["lr-0.0001_decay-1", "lr-0.0001_decay-0.9", "lr-0.0004_decay-1"]
    assert len(swept.points) == 5 * 2
    optimizer = swept.study.trainings["lr-0.003_decay-0.9"].optimizer
    assert (optimizer.name, optimizer.lr, optimizer.decay) == ("adam", 0.003, 0.9)


def test_an_architectures_option_and_a_loss_weight_are_axes(tmp_path):
    axes = {"options.shared": [True, False], "objective.digits": [0.5, 1, 2]}
    changes = [
        (["sweeps", "dense-width", "axes"], axes),
        ("sweeps.dense-width.published", None),
        ("sweeps.dense-width.objective", {"target": 1, "digits": 1}),
    ]
    swept = study_with(tmp_path, *changes).sweeps["dense-width"]
    assert next(iter(swept.points)) == "shared-true_digits-0.5"
    assert swept.study.file.models["shared-false_digits-2"].options["shared"] is False
    assert swept.study.file.models["shared-false_digits-2"].objective.model_dump()["digits"] == 2


def test_points_are_cells_that_share_pairs_and_seeds(tmp_path):
    plan = plan_of(study_with(tmp_path))
    cells = plan.cells("dense-vs-conv.dense-batch")
    assert cells[1] == {"study": "dense-vs-conv.dense-batch", "model": "batch_size-5", "fold": "all", "rounds": "0-4"}
    assert len(cells) == 5
    assert plan.pairs("dense-vs-conv.dense-batch")["counts"] == {"train": 500, "validation": 500, "test": 500}
    assert plan.cell("dense-vs-conv.dense-batch", "batch_size-5")["training"]["batch_size"] == 5
    assert plan.sweep("dense-vs-conv.dense-rate")["claimed"] == [
        f"lr-{lr}_decay-0.9" for lr in ("0.0001", "0.0004", "0.001", "0.003", "0.01")
    ]
    assert plan_of(study_with(tmp_path), sweeps=False).sweeps == {}


def test_another_value_changes_no_other_point(tmp_path):
    first = plan_of(study_with(tmp_path))
    more = plan_of(
        study_with(tmp_path, (["sweeps", "dense-batch", "axes", "training.batch_size"], [10, 1, 5, 20, 50, 100]))
    )
    sweep = "dense-vs-conv.dense-batch"
    assert set(more.models(sweep)) - set(first.models(sweep)) == {"batch_size-10"}
    assert all(more.cell(sweep, point) == first.cell(sweep, point) for point in first.models(sweep))
    assert more.pairs(sweep) == first.pairs(sweep)


def pairs_plan(tmp_path, values):
    axes = (["sweeps", "dense-batch", "axes"], {"protocol.pairs.train": values})
    return plan_of(study_with(tmp_path, axes, (f"{BATCH}.published", None)))


def test_the_number_of_training_pairs_is_an_axis(tmp_path):
    plan, sweep = pairs_plan(tmp_path, [100, 500]), "dense-vs-conv.dense-batch"
    assert [plan.train_pairs(sweep, point) for point in plan.models(sweep)] == [100, 500]
    assert plan.pairs(sweep)["counts"] == {"train": 29_500, "validation": 500, "test": 500}
    assert plan.sweep(sweep)["axes"][0]["label"] == "training pairs"
    more = pairs_plan(tmp_path, [50, 100, 500, 2000])
    assert more.pairs(sweep) == plan.pairs(sweep), "another value redraws nothing"
    assert all(more.cell(sweep, point) == plan.cell(sweep, point) for point in plan.models(sweep))
    others = plan_of(study_with(tmp_path))
    assert others.train_pairs("dense-vs-conv", "dense-shared") is None
    assert others.train_pairs(sweep, "batch_size-5") is None


def test_a_point_takes_the_first_training_pairs_and_all_others(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr", sys.stderr)  # which the script replaces
    table = draw_pairs({"train": np.arange(60) % 10, "test": np.arange(40) % 10}, {"train": 20, "validation": 10, "test": 15},
                       None, seed=1, study="s.x", rounds=range(2))  # fmt: skip
    table.to_parquet(tmp_path / "pairs.parquet")
    job = SimpleNamespace(log=[str(tmp_path / "log")], input=[tmp_path / "pairs.parquet"],
                          output=[tmp_path / "out.parquet"], params=SimpleNamespace(train=7))  # fmt: skip
    runpy.run_path(str(ROOT / "workflow/scripts/point_pairs.py"), {"snakemake": job})
    kept = pd.read_parquet(tmp_path / "out.parquet")
    assert kept.groupby(["round", "split"]).size().to_dict() == {
        (r, s): n for r in (0, 1) for s, n in (("test", 15), ("train", 7), ("validation", 10))
    }
    both = kept.merge(table)
    assert len(both) == len(kept)


def test_a_scale_changes_what_a_sweep_says_and_not_what_it_varies(tmp_path):
    axes = (["sweeps", "dense-batch", "axes"], {"training.epochs": [10, 20]})
    swept = study_with(tmp_path, axes, (f"{BATCH}.published", None), scale="smoke").sweeps["dense-batch"]
    assert [training.epochs for training in swept.study.trainings.values()] == [10, 20]
    assert (swept.study.protocol.pairs.train, swept.study.protocol.pairs.validation) == (50, 50)
    assert swept.study.reduced["protocol"]["pairs"] == {"train": 50, "test": 50}


def test_a_sweep_of_a_study_with_folds_has_none(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8"))
    raw["sweeps"] = {
        "rate": {"title": "Rate", "base": "mlp", "metric": "error", "axes": {"training.optimizer.lr": ["1e-3", 0.01]}}
    }
    file = tmp_path / "siamese-resnets.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    swept = load_study(file, "paper").sweeps["rate"]
    assert (swept.study.folds, swept.study.protocol.pairs.validation) == (["all"], 1000)
    assert swept.axes == {"training.optimizer.lr": [0.001, 0.01]}


MISTAKES = [
    ("sweeps.Big", STUDY["sweeps"]["dense-batch"], "sweeps.Big: string should match pattern"),
    (f"{BATCH}.base", "dense", "sweeps.dense-batch.base: unknown model 'dense'; allowed: dense-shared-auxiliary, "),
    (f"{BATCH}.axis", {}, "sweeps.dense-batch.axis: unknown key; allowed: title, base, "),
    (f"{BATCH}.axes", {}, "sweeps.dense-batch.axes: dictionary should have at least 1 item"),
    (f"{BATCH}.axes", {"training.epochs": [1], "training.batch_size": [5], "options.width": [3]}, "sweeps.dense-batch.axes: dictionary should have at most 2 items"),
    (f"{BATCH}.axes", {"training.batch_size": []}, "sweeps.dense-batch.axes.training.batch_size: list should have at least 1 item"),
    (f"{BATCH}.axes", {"training.batch_size": 5}, "sweeps.dense-batch.axes.training.batch_size: input should be a valid list, not 5"),
    (f"{BATCH}.axes", {"training.batch_size": [1, 5, 1]}, "sweeps.dense-batch.axes.training.batch_size: 1 is named twice; each value once is allowed"),
    (f"{BATCH}.axes", {"training.optimizer.lr": [0.001, "1e-3"]}, "sweeps.dense-batch.axes.training.optimizer.lr: 0.001 is named twice"),
    (f"{BATCH}.axes", {"training.batch_size": [1, "five"]}, "sweeps.dense-batch.axes.training.batch_size: input should be a valid integer, not 'five'"),
    (f"{BATCH}.axes", {"training.batch_size": [0]}, "sweeps.dense-batch.axes.training.batch_size: input should be greater than or equal to 1, not 0"),
    (f"{BATCH}.axes", {"training.batch_size": [[1]]}, "sweeps.dense-batch.axes.training.batch_size.0: [1] is no value of an axis; a number, a text, true or false is allowed"),
    (f"{BATCH}.axes", {"training.batch_size": [5, 499]}, "sweeps.dense-batch.axes.training.batch_size: 499 leaves a last batch of 1 of 500 training pairs"),
    (f"{BATCH}.axes", {"training.optimizer.rate": [1]}, "sweeps.dense-batch.axes.training.optimizer.rate: unknown key; allowed: name, lr, momentum, decay"),
    (f"{BATCH}.axes", {"options.depth": [1]}, "sweeps.dense-batch.axes.options.depth: unknown key; allowed: shared, width, layers"),
    (f"{BATCH}.axes", {"options.width": ["wide"]}, "sweeps.dense-batch.axes.options.width: input should be a valid integer, not 'wide'"),
    (f"{BATCH}.axes", {"protocol.rounds": [1]}, "sweeps.dense-batch.axes.protocol.rounds: names no option of the base model; allowed: training.…, options.…, objective.…, protocol.pairs.train"),
    (f"{BATCH}.axes", {"protocol.pairs.train": [100, "many"]}, "sweeps.dense-batch.axes.protocol.pairs.train: input should be a valid integer, not 'many'"),
    (f"{BATCH}.axes", {"protocol.pairs.train": [30_000]}, "sweeps.dense-batch.axes.protocol.pairs.train + pairs.validation: 30050 pairs need 60100"),
    (f"{BATCH}.axes", {"protocol.pairs.train": [101]}, "sweeps.dense-batch.axes.training.batch_size: 5 leaves a last batch of 1 of 101"),
    (f"{BATCH}.axes", {"training.optimizer.lr": [True, 0.01]}, "sweeps.dense-batch.axes.training.optimizer.lr: input should be a valid number, not true"),
    (f"{BATCH}.axes", {"options.width": [0, 5]}, "sweeps.dense-batch.axes.options.width: input should be greater than or equal to 1, not 0"),
    (f"{BATCH}", STUDY["sweeps"]["dense-batch"] | {"metric": "loss", "axes": {"objective.digits": [1, 2]}, "published": None}, "sweeps.dense-batch.metric: the loss is another one at every value of an objective axis; allowed: accuracy"),
    (f"{BATCH}.metric", "target_loss", "sweeps.dense-batch.metric: target_loss needs a target head that the objective trains; allowed: accuracy, error, loss"),
    (f"{BATCH}.axes", {"training": ["adam"]}, "sweeps.dense-batch.axes.training: names no option of the base model"),
    (f"{BATCH}.axes", {"objective.phases": [1]}, "sweeps.dense-batch.axes.objective.phases: input should be a valid list"),
    (f"{BATCH}.options", {"depth": 1}, "sweeps.dense-batch.options.depth: unknown key; allowed: shared, width, layers"),
    (f"{BATCH}.training", {"batch": 1}, "sweeps.dense-batch.training.batch: unknown key"),
    (f"{BATCH}.protocol", {"folds": 5}, "sweeps.dense-batch.protocol.folds: cross-validation makes its own validation pairs"),
    (f"{BATCH}.protocol", {"pairs": {"validation": 0}}, "sweeps.dense-batch.protocol.pairs.validation: the best setting is chosen on these pairs; at least 1 is allowed"),
    (f"{BATCH}.protocol", {"pairs": 5}, "sweeps.dense-batch.protocol.pairs: input should be a valid dictionary"),
    (f"{BATCH}.decision", "target", "sweeps.dense-batch.decision: the target head is not trained; allowed: digits"),
    (f"{BATCH}.metric", "f1", "sweeps.dense-batch.metric: input should be 'accuracy', 'error'"),
    (f"{BATCH}.split", "all", "sweeps.dense-batch.split: input should be 'train', 'validation' or 'test', not 'all'"),
    (f"{BATCH}.published.best", {"options.width": 5}, "sweeps.dense-batch.published.best.options.width: no axis of this sweep; allowed: training.batch_size"),
    (f"{BATCH}.published.best", {"training.batch_size": 9}, "sweeps.dense-batch.published.best.training.batch_size: 9 is no value of that axis; allowed: 1, 5, 20, 50, 100"),
    ("scales.quick.sweeps", {"protocol": {"round": 1}}, "scales.quick.sweeps.protocol.round: unknown key; allowed: pairs, rounds, folds, fixed_data"),
    ("scales.quick.sweeps", {"values": 0}, "scales.quick.sweeps.values: input should be greater than or equal to 1, not 0"),
    ("scales.quick.sweeps", {"rounds": 1}, "scales.quick.sweeps.rounds: unknown key; allowed: protocol, training, values"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), MISTAKES, ids=[f"{p}={str(v)[:25]}" for p, v, _ in MISTAKES])
def test_mistakes_name_file_key_and_what_is_allowed(tmp_path, path, value, expected):
    with pytest.raises(ConfigError) as error:
        study_with(tmp_path, (path, value))
    assert str(error.value).startswith(f"{(tmp_path / 'dense-vs-conv.yaml').as_posix()}: {expected}")
    assert "\n" not in str(error.value)


def test_a_metric_needs_its_head(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8"))
    raw["sweeps"] = {
        "rate": {"title": "Rate", "base": "mlp", "metric": "digit_error", "axes": {"training.epochs": [1]}}
    }
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(
        ConfigError,
        match="sweeps.rate.metric: digit_error needs a digits head, which mlp-selu lacks; allowed: accuracy",
    ):
        load_study(file, "paper")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**20), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.sampled_from(["training.epochs", "options.width", "objective.digits", "x"]), st.lists(st.integers(0, 3), max_size=2), max_size=3),
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(key=st.sampled_from([*STUDY["sweeps"]["dense-batch"], "options", "decision", "split"]), value=VALUES)
def test_a_mutated_sweep_is_accepted_or_refused_with_one_line(tmp_path_factory, key, value):
    small = STUDY | {"sweeps": {"dense-batch": STUDY["sweeps"]["dense-batch"] | {key: value}}}
    file = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    file.write_text(yaml.safe_dump(small), encoding="utf-8")
    try:
        swept = load_study(file, "quick").sweeps["dense-batch"]
    except ConfigError as error:
        assert str(error).startswith(f"{file.as_posix()}: ")
        assert len(str(error).splitlines()) == 1
    else:
        assert len(swept.points) == np.prod([len(values) for values in swept.axes.values()])


# Every sweep of sections 4 and 5 of the reports' specification, by what it varies.
@pytest.mark.parametrize(
    ("study", "sweep", "base", "axes"),
    [
        (
            "dense-vs-conv",
            "dense-rate",
            "dense-shared-auxiliary",
            ["training.optimizer.lr", "training.optimizer.decay"],
        ),
        ("dense-vs-conv", "dense-batch", "dense-shared-auxiliary", ["training.batch_size"]),
        ("dense-vs-conv", "dense-width", "dense-shared-auxiliary", ["options.width"]),
        ("dense-vs-conv", "dense-depth", "dense-shared-auxiliary", ["options.layers"]),
        ("dense-vs-conv", "conv-width", "conv-shared-auxiliary", ["options.width"]),
        ("dense-vs-conv", "conv-depth", "conv-shared-auxiliary", ["options.layers"]),
        ("dense-vs-conv", "conv-batch", "conv-shared-auxiliary", ["training.batch_size"]),
        ("dense-vs-conv", "conv-channels", "conv-shared-auxiliary", ["options.channels"]),
        ("twin-lenet", "rate", "shared-auxiliary", ["training.optimizer.lr"]),
        ("twin-lenet", "batch", "shared-auxiliary", ["training.batch_size"]),
        ("twin-lenet", "activation", "shared-auxiliary", ["options.activation"]),
    ],
)
def test_every_sweep_of_the_reports_is_there(study, sweep, base, axes):
    swept = load_study(ROOT / f"config/studies/{study}.yaml", "paper").sweeps[sweep]
    assert (swept.sweep.base, list(swept.axes)) == (base, axes)
    assert swept.best, "the report's own conclusion is beside ours"
    assert swept.study.protocol.rounds >= 5


def test_what_all_settings_share_is_told_without_the_axes(tmp_path):
    kept = plan_of(study_with(tmp_path)).sweep("dense-vs-conv.dense-rate")["kept"]
    assert (kept["base"], kept["decision"]) == ("dense-shared-auxiliary", "digits")
    assert kept["training"]["batch_size"] == 20
    assert kept["training"]["optimizer"].keys() == {"name", "momentum"}

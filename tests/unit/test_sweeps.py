"""Sweeps: from the study file to settings, their cells and their pairs; mistakes are named."""

import copy

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import put
from tests.unit.studies import STUDIES, load_all, shipped
from twinbench.files import ConfigError
from twinbench.report.sweeps import sweep_part
from twinbench.tasks import pairs
from twinbench.tasks.tables import take_first

STUDY = yaml.safe_load((STUDIES / "dense-vs-conv.yaml").read_text(encoding="utf-8"))
IMAGES = 30_000  # pairs that MNIST's training part has at most
BATCH, RATE = "sweeps.dense-batch", "sweeps.dense-rate"


def study_with(tmp_path, *changes, scale="paper"):
    """Load dense-vs-conv and its sweeps with some keys changed; a key is a list where one of its parts holds dots."""
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
    return load_all(file, scale)


def values(sweep, path):
    """The value of every setting on an axis, by the setting's name."""
    place = [axis.path for axis in sweep.swept.axes].index(path)
    return {setting: values[place] for setting, values in sweep.swept.settings.items()}


def test_one_axis_makes_a_setting_a_value(tmp_path):
    studies = study_with(tmp_path)
    sweep = studies["dense-vs-conv.dense-batch"]
    assert list(sweep.swept.settings) == list(sweep.models) == [f"batch_size-{size}" for size in (1, 5, 20, 50, 100)]
    trainings = {name: model.training for name, model in sweep.models.items()}
    assert [trainings[setting].batch_size for setting in sweep.models] == [1, 5, 20, 50, 100]
    assert (
        len({training.model_copy(update={"batch_size": 1}).model_dump_json() for training in trainings.values()}) == 1
    )
    model = sweep.models["batch_size-5"]
    assert (model.options, model.decision, model.objective.trained) == (
        {"shared": True, "width": 500, "layers": 2},
        "digits",
        ["digits"],
    )
    assert model.label == "batch size in pairs 5"
    assert sweep.swept.claimed == ["batch_size-5"]
    assert (sweep.swept.parent, sweep.swept.name, sweep.swept.base) == (
        "dense-vs-conv",
        "dense-batch",
        "dense-shared-auxiliary",
    )
    protocol = sweep.protocol
    assert (protocol.rounds, protocol.pairs.train, protocol.pairs.validation, protocol.pairs.test) == (5, 500, 500, 500)
    study = studies["dense-vs-conv"]
    assert study.protocol.pairs.validation == 0, "the study itself is as published"
    assert study.swept is None


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
    studies = study_with(tmp_path, ("scales.smoke.sweeps.values", count), scale="smoke")
    sweep = studies["dense-vs-conv.dense-batch"]
    assert list(values(sweep, "training.batch_size").values()) == sizes
    assert [(axis.path, axis.values) for axis in sweep.swept.axes] == [("training.batch_size", sizes)]
    assert sweep.swept.axes[0].texts == list(map(str, sizes))
    assert sweep.swept.claimed == ["batch_size-5"] * (5 in sizes), "what the report found best may not be trained here"
    assert sweep.swept.conclusion == "Batches of 5 are the best choice (figure 2)."
    assert len(studies["dense-vs-conv.dense-rate"].models) == min(count, 5) * min(count, 2)


def test_two_axes_make_a_setting_a_combination(tmp_path):
    sweep = study_with(tmp_path)["dense-vs-conv.dense-rate"]
    assert list(sweep.models)[:3] == ["lr-0.0001_decay-1", "lr-0.0001_decay-0.9", "lr-0.0004_decay-1"]
    assert len(sweep.models) == 5 * 2
    optimizer = sweep.models["lr-0.003_decay-0.9"].training.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.decay) == ("adam", 0.003, 0.9)


def test_an_architectures_option_and_a_loss_weight_are_axes(tmp_path):
    axes = {"options.shared": [True, False], "objective.digits": [0.5, 1, 2]}
    changes = [
        (["sweeps", "dense-width", "axes"], axes),
        ("sweeps.dense-width.published", None),
        ("sweeps.dense-width.objective", {"target": 1, "digits": 1}),
    ]
    models = study_with(tmp_path, *changes)["dense-vs-conv.dense-width"].models
    assert next(iter(models)) == "shared-true_digits-0.5"
    assert models["shared-false_digits-2"].options["shared"] is False
    assert models["shared-false_digits-2"].objective.model_dump()["digits"] == 2


def test_settings_are_cells_that_share_pairs_and_seeds(tmp_path):
    studies = study_with(tmp_path)
    sweep = studies["dense-vs-conv.dense-batch"]
    assert sweep.cells()[1] == {
        "study": "dense-vs-conv.dense-batch", "model": "batch_size-5", "rounds": "0-4",
    }  # fmt: skip
    assert len(sweep.cells()) == 5
    assert sweep.draw(IMAGES)["counts"] == {"train": 500, "validation": 500, "test": 500}
    assert sweep.draw(IMAGES)["study"] == "dense-vs-conv.dense-batch"
    assert sweep.cell("batch_size-5")["training"]["batch_size"] == 5
    assert {(cell["study"], cell["seed"]) for cell in map(sweep.cell, sweep.models)} == {(sweep.name, sweep.seed)}
    assert studies["dense-vs-conv.dense-rate"].swept.claimed == [
        f"lr-{lr}_decay-0.9" for lr in ("0.0001", "0.0004", "0.001", "0.003", "0.01")
    ]


def test_another_value_changes_no_other_setting(tmp_path):
    sweep = "dense-vs-conv.dense-batch"
    first = study_with(tmp_path)[sweep]
    more = study_with(tmp_path, (["sweeps", "dense-batch", "axes", "training.batch_size"], [10, 1, 5, 20, 50, 100]))
    more = more[sweep]
    assert set(more.models) - set(first.models) == {"batch_size-10"}
    assert all(more.cell(setting) == first.cell(setting) for setting in first.models)
    assert more.draw(IMAGES) == first.draw(IMAGES)


def pairs_sweep(tmp_path, values):
    axes = (["sweeps", "dense-batch", "axes"], {"protocol.pairs.train": values})
    return study_with(tmp_path, axes, (f"{BATCH}.published", None))["dense-vs-conv.dense-batch"]


def test_the_number_of_training_pairs_is_an_axis(tmp_path):
    sweep = pairs_sweep(tmp_path, [100, 500])
    assert [sweep.train_pairs(setting) for setting in sweep.models] == [100, 500]
    assert [sweep.cell(setting)["inputs"]["train_pairs"] for setting in sweep.models] == [100, 500]
    assert [model["inputs"]["train_pairs"] for model in sweep.predicted().values()] == [100, 500]
    assert sweep.draw(IMAGES)["counts"] == {"train": 29_500, "validation": 500, "test": 500}
    assert sweep.swept.axes[0].label == "training pairs"
    more = pairs_sweep(tmp_path, [50, 100, 500, 2000])
    assert more.draw(IMAGES) == sweep.draw(IMAGES), "another value redraws nothing"
    assert all(more.cell(setting) == sweep.cell(setting) for setting in sweep.models)
    others = study_with(tmp_path)
    assert others["dense-vs-conv"].train_pairs("dense-shared") is None
    assert others["dense-vs-conv.dense-batch"].train_pairs("batch_size-5") is None


def test_a_setting_takes_the_first_training_pairs_and_all_others():
    labels = {"train": np.arange(60) % 10, "test": np.arange(40) % 10}
    counts = {"train": 20, "validation": 10, "test": 15}
    table = pairs.draw(range(2), labels=labels, counts=counts, folds=None, seed=1, study="s.x")
    kept = take_first(table, pairs.NUMBER, 7)
    assert kept.groupby(["round", "split"]).size().to_dict() == {
        (r, s): n for r in (0, 1) for s, n in (("test", 15), ("train", 7), ("validation", 10))
    }
    both = kept.merge(table)
    assert len(both) == len(kept)
    assert take_first(table, pairs.NUMBER, None).equals(table)


def test_a_scale_changes_what_a_sweep_says_and_not_what_it_varies(tmp_path):
    axes = (["sweeps", "dense-batch", "axes"], {"training.epochs": [10, 20]})
    studies = study_with(tmp_path, axes, (f"{BATCH}.published", None), scale="smoke")
    sweep = studies["dense-vs-conv.dense-batch"]
    assert [model.training.epochs for model in sweep.models.values()] == [10, 20]
    assert (sweep.protocol.pairs.train, sweep.protocol.pairs.validation) == (50, 50)
    assert sweep.reduced["protocol"]["pairs"] == {"train": 50, "test": 50}
    assert sweep.reduced["protocol"]["rounds"] == 2, "what it changes in the study counts for its sweeps"
    assert studies["dense-vs-conv"].reduced["protocol"]["pairs"] == {"train": 200, "test": 200}


def test_a_sweep_of_a_study_with_folds_has_none(tmp_path):
    raw = yaml.safe_load((STUDIES / "siamese-resnets.yaml").read_text(encoding="utf-8"))
    raw["sweeps"] = {
        "rate": {"title": "Rate", "base": "mlp", "metric": "error", "axes": {"training.optimizer.lr": ["1e-3", 0.01]}}
    }
    file = tmp_path / "siamese-resnets.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    sweep = load_all(file)["siamese-resnets.rate"]
    assert (sweep.folds, sweep.protocol.pairs.validation) == (["all"], 1000)
    assert [(axis.path, axis.values) for axis in sweep.swept.axes] == [("training.optimizer.lr", [0.001, 0.01])]


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
    (f"{BATCH}.axes", {"options.depth": [1]}, "sweeps.dense-batch.axes.options.depth: unknown key; allowed: shared, width, layers, dropout, branch_parameters"),
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
    (f"{BATCH}.options", {"depth": 1}, "sweeps.dense-batch.options.depth: unknown key; allowed: shared, width, layers, dropout, branch_parameters"),
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
    raw = yaml.safe_load((STUDIES / "siamese-resnets.yaml").read_text(encoding="utf-8"))
    raw["sweeps"] = {
        "rate": {"title": "Rate", "base": "mlp", "metric": "digit_error", "axes": {"training.epochs": [1]}}
    }
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(
        ConfigError,
        match="sweeps.rate.metric: digit_error needs a digits head, which mlp-selu lacks; allowed: accuracy",
    ):
        load_all(file)


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
        sweep = load_all(file, "quick")["s.dense-batch"]
    except ConfigError as error:
        assert str(error).startswith(f"{file.as_posix()}: ")
        assert len(str(error).splitlines()) == 1
    else:
        assert len(sweep.models) == np.prod([len(axis.values) for axis in sweep.swept.axes])


# Every sweep of reports 4 and 5, by what it varies, and whether the report names a best value.
@pytest.mark.parametrize(
    ("study", "sweep", "base", "axes", "named"),
    [
        (
            "dense-vs-conv",
            "dense-rate",
            "dense-shared-auxiliary",
            ["training.optimizer.lr", "training.optimizer.decay"],
            True,
        ),
        ("dense-vs-conv", "dense-batch", "dense-shared-auxiliary", ["training.batch_size"], True),
        ("dense-vs-conv", "dense-width", "dense-shared-auxiliary", ["options.width"], False),
        ("dense-vs-conv", "dense-depth", "dense-shared-auxiliary", ["options.layers"], False),
        ("dense-vs-conv", "dense-dropout", "dense-shared-auxiliary", ["options.dropout"], False),
        ("dense-vs-conv", "dense-shape", "dense-shared-auxiliary", ["options.layers"], False),
        ("dense-vs-conv", "conv-kernel", "conv-shared-auxiliary", ["options.kernel"], False),
        ("dense-vs-conv", "conv-width", "conv-shared-auxiliary", ["options.width"], False),
        ("dense-vs-conv", "conv-depth", "conv-shared-auxiliary", ["options.layers"], True),
        ("dense-vs-conv", "conv-batch", "conv-shared-auxiliary", ["training.batch_size"], True),
        ("dense-vs-conv", "conv-channels", "conv-shared-auxiliary", ["options.channels"], False),
        ("twin-lenet", "rate", "shared-auxiliary", ["training.optimizer.lr"], True),
        ("twin-lenet", "batch", "shared-auxiliary", ["training.batch_size"], True),
        ("twin-lenet", "activation", "shared-auxiliary", ["options.activation"], True),
    ],
)
def test_every_sweep_of_the_reports_is_there(study, sweep, base, axes, named):
    found = shipped(study)[f"{study}.{sweep}"]
    assert (found.swept.base, [axis.path for axis in found.swept.axes]) == (base, axes)
    assert bool(found.swept.claimed) == named
    assert found.swept.conclusion, "the report's own words are beside ours"
    assert found.protocol.rounds >= 5


def test_the_sweep_of_the_framework_is_over_its_width():
    sweep = shipped("disc")["disc.width"]
    assert [(axis.path, axis.values) for axis in sweep.swept.axes] == [
        ("options.width", [2, 4, 8, 16, 32, 64, 128, 256])
    ]
    assert (sweep.task, sweep.swept.split, sweep.swept.claimed) == ("disc", "test", [])
    assert sweep.draw(IMAGES)["counts"] == {"train": 1000, "validation": 1000, "test": 1000}
    assert shipped("disc", "smoke")["disc.width"].swept.settings == {"width-2": [2], "width-256": [256]}


def test_what_all_settings_share_is_told_without_the_axes(tmp_path):
    sweep = study_with(tmp_path)["dense-vs-conv.dense-rate"]
    metrics = pd.DataFrame(columns=["study", "model", "fold", "round", "split", "metric", "value"], dtype=float)
    cells = pd.DataFrame(columns=["model", "round", "train_seconds", "status"], dtype=float)
    kept = sweep_part(sweep, metrics, cells)["kept"]
    assert (kept["base"], kept["decision"]) == ("dense-shared-auxiliary", "digits")
    assert kept["training"]["batch_size"] == 20
    assert kept["training"]["optimizer"].keys() == {"name"}

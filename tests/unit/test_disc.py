"""The disc as an ordinary study: its points, its inputs and its configuration."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.conftest import ROOT, put
from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_config, load_study
from twinbench.figures.catalog import figures
from twinbench.files import ConfigError
from twinbench.seeds import derive_seed
from twinbench.spec.training import Inputs
from twinbench.tasks import disc, draw
from twinbench.tasks.tensors import load_splits

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
FILE = ROOT / "config/studies/disc.yaml"
WRITTEN = yaml.safe_load(FILE.read_text(encoding="utf-8"))
WIDTHS = WRITTEN["sweeps"]["width"]["axes"]["options.width"]
CPU = torch.device("cpu")
DISC_FIGURES = sorted(name for name, figure in figures().items() if figure.task == "disc")


def studies(scale="paper"):
    """The study and its sweep."""
    return load_study(FILE, load_config(CONFIG | {"scale": scale}))


def points(rounds, seed=1, folds=None, **counts):
    return disc.draw(rounds, counts=counts, folds=folds, seed=seed)


def test_half_of_the_points_lie_in_the_disc():
    table = points(range(1), train=20_000).query("split == 'train'")
    assert table[["x", "y"]].min().min() >= 0
    assert table[["x", "y"]].max().max() <= 1
    # 20,000 draws of probability 1/2: a deviation above 0.018 has five standard deviations
    assert table["target"].mean() == pytest.approx(0.5, abs=0.018)
    distance = np.hypot(table["x"] - 0.5, table["y"] - 0.5)
    assert distance[table["target"] == 1].max() <= 1 / math.sqrt(2 * math.pi) < distance[table["target"] == 0].min()


@pytest.mark.parametrize(
    ("settings", "seed_axes"),
    [
        ({}, {"round": 3, "purpose": "points"}),
        ({"study": "another"}, {"round": 3, "purpose": "points"}),
        ({"fixed_data": True}, {"round": 0, "purpose": "points"}),
        ({"purpose": "tuning"}, {"round": 3, "purpose": "tuning"}),
    ],
    ids=["the study", "any study", "fixed data", "tuning"],
)
def test_points_follow_from_the_names_alone(settings, seed_axes):
    counts = {"train": 40, "validation": 0, "test": 30}
    table = disc.draw(range(2, 5), counts=counts, folds=None, seed=7, **settings).query("round == 3")
    for split, count in counts.items():
        rows = table[table["split"] == split]
        drawn = np.random.default_rng(derive_seed(7, study="scratch", split=split, **seed_axes)).random((count, 2))
        assert (rows[["x", "y"]].to_numpy() == drawn).all()
        assert rows["point"].tolist() == list(range(count))
        assert rows["target"].tolist() == [((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2 * math.pi <= 1 for x, y in drawn]


def test_points_depend_on_nothing_but_their_names():
    together, alone = points(range(4), train=30, test=20), points(range(2, 3), test=20)
    rows = together.query("round == 2 and split != 'train'").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, alone)
    alone = alone.query("split == 'test'")
    tuning = disc.draw(range(2, 3), counts={"test": 20}, folds=None, seed=1, purpose="tuning")
    assert not alone["x"].equals(tuning["x"][:20])
    assert not alone["x"].equals(points(range(2, 3), seed=2, test=20)["x"][:20])
    assert together.query("split != 'grid'").groupby(["round", "split"])["x"].first().is_unique
    more = points(range(1), train=50).query("split == 'train'")
    pd.testing.assert_frame_equal(points(range(1), train=30)[:30], more[:30])


def test_a_grid_follows_in_each_round():
    table = points(range(2), train=10, test=5)
    for _, rows in table.groupby("round"):
        assert rows["split"].drop_duplicates().tolist() == ["train", "test", "grid"]
        grid = rows[rows["split"] == "grid"]
        assert len(grid) == disc.GRID**2
        assert (grid[["x", "y"]].to_numpy() == disc.grid()).all()
        assert (grid["target"] == disc.inside(disc.grid())).all()
        assert grid["point"].tolist() == list(range(disc.GRID**2))
    assert disc.grid()[1].tolist() == [1 / (disc.GRID - 1), 0]  # x runs fastest


def test_folds_are_of_training_points_alone():
    table = points(range(1), folds=5, train=20, test=10)
    assert table.query("split == 'train'")["fold"].tolist() == [fold for fold in range(5) for _ in range(4)]
    assert (table.query("split != 'train'")["fold"] == -1).all()
    splits = load_splits(Inputs(task="disc", scaling="training"), {}, table, "2", CPU)[0]
    assert {name: len(split.target) for name, split in splits.items()} == {
        "train": 16, "validation": 4, "test": 10, "grid": disc.GRID**2,
    }  # fmt: skip


def test_any_task_is_drawn_alike():
    slice_ = studies("smoke")[0].draw(30_000)
    assert (slice_["task"], slice_["counts"]) == ("disc", {"train": 200, "validation": 0, "test": 200})
    table = draw(rounds=range(2), images=None, **slice_)
    pd.testing.assert_frame_equal(table, points(range(2), seed=CONFIG["seed"], **slice_["counts"]))


def test_inputs_are_standardised_by_the_training_points():
    table = points(range(2), train=500, test=300)
    splits = load_splits(Inputs(task="disc", scaling="training"), {}, table, "all", CPU)[1]
    train = table.query("round == 1 and split == 'train'")[["x", "y"]].to_numpy()
    test = table.query("round == 1 and split == 'test'")[["x", "y"]].to_numpy()
    np.testing.assert_allclose(splits["train"].inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(splits["test"].inputs, (test - train.mean(0)) / train.std(0), atol=1e-6)  # float32
    raw = load_splits(Inputs(task="disc", scaling="raw"), {}, table, "all", CPU)[1]
    np.testing.assert_allclose(raw["test"].inputs, test, atol=1e-7)
    assert raw["test"].inputs.dtype == torch.float32
    assert splits["test"].target.tolist() == table.query("round == 1 and split == 'test'")["target"].tolist()
    assert (splits["test"].digits == -1).all()
    assert raw["grid"].inputs.shape == (disc.GRID**2, 2)
    assert (raw["grid"].target.numpy() == disc.inside(disc.grid())).all()
    few = load_splits(Inputs(task="disc", scaling="training", train_pairs=100), {}, table, "all", CPU)[1]
    np.testing.assert_allclose(
        few["test"].inputs, (test - train[:100].mean(0)) / train[:100].std(0), atol=1e-6
    )  # of those that the model sees


def test_the_pairs_net_sees_both_images_side_by_side():
    images, net = torch.randn(20, 2, 14, 14), architectures()["scratch-pairs"].build()
    features = torch.cat([images[:, 0].flatten(1), images[:, 1].flatten(1)], dim=1)
    assert torch.equal(net(images)["target"], net.net.forward(features))
    assert [(layer.inputs, layer.outputs) for layer in net.net.modules[::2]] == [(392, 64), (64, 32), (32, 1)]


MISTAKES = [
    ("models.tanh.options.activation", "gelu", "models.tanh.options.activation: input should be 'relu' or 'tanh'"),
    ("models.tanh.options.hidden", [4], "models.tanh.options.hidden: unknown key; allowed: width, layers, halving"),
    ("models.tanh.options.width", 0, "models.tanh.options.width: input should be greater than or equal to 1, not 0"),
    ("models.tanh.architecture", "twin-lenet", "models.tanh.architecture: twin-lenet is for the task pairs, this "),
    ("models.tanh.objective", {"digits": 1}, "models.tanh.objective.digits: scratch-disc has no digits head"),
    ("models.tanh.accelerator", "gpu", "models.tanh.accelerator: scratch-disc runs on a processor; allowed: cpu"),
    ("training.optimizer.name", "adam", "training.optimizer: scratch-disc trains by its framework's own gradient "),
    ("training.optimizer.momentum", 0.9, "training.optimizer: scratch-disc trains by its framework's own gradient "),
    ("models.tanh.training", {"optimizer": {"name": "adam"}}, "models.tanh.training.optimizer: scratch-disc trains"),
    ("models.tanh.training", {"scaling": "log"}, "models.tanh.training.scaling: input should be 'training', 'split' or 'raw'"),
    ("sweeps.width.axes", {"options.width": [0]}, "sweeps.width.axes.options.width"),
    ("sweeps.width.axes", {"options.width": [4, 4]}, "sweeps.width.axes.options.width"),
    ("task", None, "models.relu.architecture: scratch-disc is for the task disc, this study's is pairs"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "expected"), MISTAKES, ids=[f"{path}={str(v)[:15]}" for path, v, _ in MISTAKES]
)
def test_mistakes_name_file_key_and_what_is_allowed(tmp_path, path, value, expected):
    file = tmp_path / "disc.yaml"
    file.write_text(yaml.safe_dump(put(WRITTEN, path, value)), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_study(file, load_config(CONFIG | {"scale": "quick"}))
    assert str(error.value).startswith(f"{file.as_posix()}: {expected}")
    assert "\n" not in str(error.value)


def test_the_published_protocol_and_the_issue_s_minimum():
    study, sweep = studies()
    assert study.protocol.pairs.model_dump() == {"train": 1000, "validation": 0, "test": 1000}
    assert study.protocol.rounds >= 10
    relu = study.cell("relu")
    net = architectures()[relu["architecture"]].build(**relu["options"]).net
    assert repr(net) == "Sequential(Linear(2, 128), ReLU, Linear(128, 128), ReLU, Linear(128, 1))"
    assert relu["training"]["optimizer"]["lr"] == 0.003
    # Nothing but the activation differs.
    assert study.cell("tanh") == relu | {"model": "tanh", "options": relu["options"] | {"activation": "tanh"}}
    raw = study.cell("tanh-raw")
    assert raw["inputs"] == relu["inputs"] | {"scaling": "raw"}
    assert {"task": raw["inputs"]["task"], "loss": study.scoring()["relu"]["loss"]} == {"task": "disc", "loss": "mse"}
    # A setting of the sweep is the first model with other widths, on the same points.
    for setting, values in sweep.swept.settings.items():
        cell = sweep.cell(setting)
        assert cell == relu | {"study": "disc.width", "model": setting, "options": {"width": values[0]}}
    assert [values[0] for values in sweep.swept.settings.values()] == WIDTHS
    counts = study.draw(30_000)["counts"] | {"validation": 1000}  # which choose the best setting
    assert sweep.draw(30_000) == study.draw(30_000) | {"study": "disc.width", "counts": counts}


def test_every_scale_runs_every_model():
    for scale in ("smoke", "quick", "paper"):
        study, sweep = studies(scale)
        assert {cell["model"] for cell in study.cells()} == set(WRITTEN["models"])
        assert set(sweep.models) == {cell["model"] for cell in sweep.cells()}
        assert len(sweep.models) == (2 if scale == "smoke" else len(WIDTHS))


def test_its_figures_are_its_own():
    assert sorted(WRITTEN["figures"]) == DISC_FIGURES == ["disc_curves", "disc_points"]


def imported(code):
    """Return which of torch and other slow packages a process imports."""
    wanted = "{'torch', 'pandas', 'matplotlib', 'torch._dynamo'}"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(sorted({wanted} & set(sys.modules)))"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return yaml.safe_load(result.stdout)


def test_planning_imports_neither_torch_nor_pandas():
    load = f"load_study(Path({str(FILE)!r}), load_config({CONFIG!r}))"
    modules = "from pathlib import Path; from twinbench.config.loading import load_config, load_study"
    assert imported(f"{modules}; [study.draw(30_000) for study in {load}]") == []


def test_training_imports_no_compiler():
    """Torch's compiler costs every job 1.5 s."""
    assert imported("import twinbench.training.cell, twinbench.training.scratch") == ["pandas", "torch"]

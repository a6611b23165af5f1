"""The disc task around the framework: its points, configuration, metrics and report section."""

import ast
import importlib
import math
import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.conftest import ROOT, put
from twinbench.config.loading import load_config, load_scratch
from twinbench.config.reading import ConfigError
from twinbench.data.pairs import draw_pairs
from twinbench.data.tensors import load_splits
from twinbench.evaluation.aggregation import study_cells
from twinbench.figures.catalog import captions, disc_captions, figures
from twinbench.figures.disc_results import DiscResults
from twinbench.report.scratch import scratch_part
from twinbench.scratch.disc import GRID, draw_points, grid, inside
from twinbench.scratch.disc_inputs import disc_examples
from twinbench.scratch.pair_inputs import pair_examples
from twinbench.scratch.planning import ScratchPlan
from twinbench.scratch.results import scratch_metrics
from twinbench.scratch.train import train_rounds

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
STUDY = yaml.safe_load((ROOT / "config/scratch.yaml").read_text(encoding="utf-8"))


def plan(scale: str = "paper") -> ScratchPlan:
    config = load_config(CONFIG | {"scale": scale})
    return ScratchPlan(config, load_scratch(config, ROOT / "config/scratch.yaml"))


def test_half_of_the_points_lie_in_the_disc():
    points = draw_points({"train": 20_000}, seed=1, rounds=range(1))
    assert points[["x", "y"]].min().min() >= 0
    assert points[["x", "y"]].max().max() <= 1
    # 20,000 draws of probability 1/2: a deviation above 0.018 has five standard deviations
    assert points["label"].mean() == pytest.approx(0.5, abs=0.018)
    distance = np.hypot(points["x"] - 0.5, points["y"] - 0.5)
    assert distance[points["label"] == 1].max() <= 1 / math.sqrt(2 * math.pi) < distance[points["label"] == 0].min()


def test_points_depend_on_nothing_but_their_names():
    together = draw_points({"train": 30, "test": 20}, seed=1, rounds=range(4))
    alone = draw_points({"test": 20}, seed=1, rounds=range(2, 3))
    rows = together.query("round == 2 and split == 'test'").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, alone)
    assert not alone["x"].equals(draw_points({"test": 20}, seed=1, rounds=range(2, 3), purpose="tuning")["x"])
    assert not alone["x"].equals(draw_points({"test": 20}, seed=2, rounds=range(2, 3))["x"])
    assert together.groupby(["round", "split"])["x"].first().is_unique


def test_inputs_are_standardised_by_the_training_points():
    points = draw_points({"train": 500, "test": 300}, seed=1, rounds=range(2))
    splits = disc_examples(points, standardise=True)[1]
    train = points.query("round == 1 and split == 'train'")[["x", "y"]].to_numpy()
    test = points.query("round == 1 and split == 'test'")[["x", "y"]].to_numpy()
    np.testing.assert_allclose(splits["train"].inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(splits["test"].inputs, (test - train.mean(0)) / train.std(0), atol=1e-6)  # float32
    raw = disc_examples(points, standardise=False)[1]
    np.testing.assert_allclose(raw["test"].inputs, test, atol=1e-7)
    labels = points.query("round == 1 and split == 'test'")["label"]
    assert splits["test"].targets[:, 0].tolist() == [1.0 if label else -1.0 for label in labels]
    assert raw["grid"].inputs.shape == (GRID**2, 2)
    assert grid()[1].tolist() == [1 / (GRID - 1), 0]  # x runs fastest
    assert ((raw["grid"].targets[:, 0] > 0).numpy() == inside(grid())).all()


def test_the_digit_net_sees_both_images_and_which_is_smaller(digits_file, labels):
    pairs = draw_pairs(labels, {"train": 50, "validation": 0, "test": 20}, None, seed=1, study="s", rounds=range(2))
    data = pair_examples(digits_file, pairs)
    assert sorted(data) == [0, 1]
    expected = load_splits(digits_file, pairs, "all", torch.device("cpu"))[1]["test"].pairs
    assert data[1]["test"].inputs.shape == (20, 392)
    assert (data[1]["test"].inputs[:, :196] == expected[:, 0].flatten(1)).all()
    rows = pairs.query("round == 1 and split == 'test'")
    wanted = np.where(rows["left_digit"] <= rows["right_digit"], 1.0, -1.0)
    assert data[1]["test"].targets[:, 0].tolist() == wanted.tolist()


def test_metrics_by_hand():
    points = pd.DataFrame({"round": 0, "split": ["train"] * 3 + ["test"] * 2, "label": [1, 1, 0, 0, 0]})
    predictions = pd.DataFrame(
        {
            "model": "relu", "round": 0, "split": ["train", "train", "train", "test", "test", "grid"],
            "point": [0, 1, 2, 0, 1, 0], "label": [1, 1, 0, 0, 0, 1], "output": [0.5, -1.0, -3.0, -1.0, 1.0, 9.0],
        }
    )  # fmt: skip
    table = scratch_metrics(predictions, points).set_index(["model", "split", "metric"])["value"]
    assert table["relu", "train", "accuracy"] == pytest.approx(2 / 3)
    assert table["relu", "train", "loss"] == pytest.approx((0.25 + 4 + 4) / 3)
    assert table["relu", "test", "accuracy"] == 0.5
    assert table["relu", "test", "loss"] == pytest.approx((0 + 4) / 2)
    assert table["constant", "train", "accuracy"] == pytest.approx(2 / 3)  # the majority of the training points is 1,
    assert table["constant", "test", "accuracy"] == 0  # which no test point has
    assert len(table) == 4 + 2


MISTAKES = [
    ("title", None, "title: missing"),
    ("protocol.rounds", 0, "protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("protocol.points.valid", 5, "protocol.points.valid: unknown key; allowed: train, test"),
    ("training.lr", 0, "training.lr: input should be greater than 0, not 0"),
    ("training.momentum", 0.9, "training.momentum: unknown key; allowed: epochs, batch_size, lr, standardise"),
    ("scales.quick.training", {"epoch": 1}, "scales.quick.training.epoch: unknown key; allowed: epochs, batch_size"),
    ("scales.quick.widths", [4, 4], "scales.quick.widths: [4, 4] names a width twice; each once is allowed"),
    ("scales.quick.net", 1, "scales.quick.net: unknown key; allowed: protocol, training, widths"),
    ("nets.tanh.activation", "gelu", "nets.tanh.activation: input should be 'relu' or 'tanh', not 'gelu'"),
    ("nets.tanh.hidden", [], "nets.tanh.hidden: list should have at least 1 item"),
    ("nets.tanh.training", {"lr": "fast"}, "nets.tanh.training.lr: input should be a valid number"),
    ("nets.digits", STUDY["nets"]["relu"], "nets: 'digits' is taken, like digits, constant and width-…"),
    ("nets.tanh.published.values", [{"metric": "error"}], "nets.tanh.published.values.0.value: missing"),
    ("main", "elu", "main: unknown net 'elu'; allowed: relu, tanh, tanh-raw"),
    ("widths", [0], "widths.0: input should be greater than or equal to 1, not 0"),
    ("widths", [], "widths: list should have at least 1 item"),
    ("digits.study", "lenet", "digits.study: unknown study 'lenet'; allowed: "),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), MISTAKES, ids=[f"{path}={str(v)[:15]}" for path, v, _ in MISTAKES]
)
def test_mistakes_name_file_key_and_what_is_allowed(tmp_path, path, value, expected):
    file = tmp_path / "scratch.yaml"
    file.write_text(yaml.safe_dump(put(STUDY, path, value)), encoding="utf-8")
    (tmp_path / "studies").symlink_to(ROOT / "config/studies")
    with pytest.raises(ConfigError) as error:
        load_scratch(load_config(CONFIG | {"scale": "quick"}), file)
    assert str(error.value).startswith(f"{file.as_posix()}: {expected}")
    assert "\n" not in str(error.value)


def test_the_published_protocol_and_the_issue_s_minimum():
    paper = plan()
    assert paper.scratch.protocol.points.model_dump() == {"train": 1000, "test": 1000}
    assert paper.scratch.protocol.rounds >= 10
    assert paper.cell("relu")["hidden"] == [128, 128]
    assert paper.cell("relu")["training"]["lr"] == 0.003
    assert paper.cell("tanh") == paper.cell("relu") | {"activation": "tanh"}  # nothing but the activation differs


def test_every_scale_runs_every_net():
    nets = set(STUDY["nets"])
    for scale in ("smoke", "quick", "paper"):
        assert nets <= set(plan(scale).nets)
        assert {cell["net"] for cell in plan(scale).cells()} == {*plan(scale).nets, "digits"}


def test_a_width_is_the_main_net_with_other_widths():
    paper = plan()
    assert paper.cell("width-16") == paper.cell("relu") | {"hidden": [16, 16]}
    assert paper.figure()["widths"] == {"relu": 128} | {f"width-{width}": width for width in STUDY["widths"]}


def test_its_figures_are_not_for_other_studies():
    assert set(disc_captions()) == {"disc_activations", "disc_curves", "disc_points", "disc_widths"}
    assert not set(disc_captions()) & (set(figures()) | set(captions()))


def test_a_diverged_net_is_a_row_of_the_report(tmp_path):
    """Two nets of one round, one of which diverges: the section has its row, and no result for it."""
    points = draw_points({"train": 60, "test": 40}, seed=1, rounds=range(2))
    study = plan("smoke")
    report = study.report()
    report["nets"] = {name: report["nets"][name] for name in ("relu", "tanh")}
    records, predictions, axes = [], [], []
    for net, lr in (("relu", 0.003), ("tanh", 1e6)):
        cell = study.cell(net)
        cell["training"] = cell["training"] | {"lr": lr}
        files = {name: tmp_path / f"{net}-{name}" for name in ("history", "predictions", "record")}
        train_rounds(cell, disc_examples(points, standardise=True), 0.0, **files)
        records.append(files["record"])
        predictions.append(pd.read_parquet(files["predictions"]).assign(model=net))
        axes.append({"study": "scratch", "model": net, "fold": "all"})
    cells = study_cells(records, axes)
    metrics = scratch_metrics(pd.concat(predictions, ignore_index=True), points)
    assert (cells.set_index("model")["status"]["tanh"] == "diverged").all()
    report["nets"]["digits"] = study.report()["nets"]["digits"]
    part = scratch_part(report, metrics, cells, ROOT / "src/twinbench/report/scratch.md.j2")
    reasons = cells.set_index(["model", "round"])["reason"]
    for round_ in (0, 1):
        assert reasons["tanh", round_].startswith("diverged at epoch ")
        assert f"| 2×128, Tanh | {round_} | {reasons['tanh', round_]} |" in part["section"]
    (row,) = (line for line in part["section"].splitlines() if "2×128, Tanh" in line and "test error" in line)
    assert "| test error | no result | 50.0 % |" in row
    assert "nan" not in part["section"]


@pytest.mark.parametrize("figure", sorted(disc_captions()))
@pytest.mark.parametrize("diverged", [[], ["tanh"], ["relu", "tanh"]], ids=["none", "one", "all"])
def test_figures_are_drawn_whatever_diverged(tmp_path, figure, diverged):
    points = draw_points({"train": 30, "test": 20}, seed=1, rounds=range(2))
    rng = np.random.default_rng(0)
    history, predictions = [], []
    for net in ("relu", "tanh"):
        for round_, split in product(range(2), ("train", "test")):
            last = 2 if net in diverged else 3
            loss = np.where(np.arange(1, last + 1) < 2, 1.0, np.nan if net in diverged else 0.5)
            columns = {"epoch": range(1, last + 1), "split": split, "loss": loss, "accuracy": rng.random(last)}
            history.append(pd.DataFrame({"model": net, "round": round_} | columns))
        if net not in diverged:
            for round_, splits in disc_examples(points, standardise=False).items():
                for split, data in splits.items():
                    output = data.inputs[:, 0].numpy() - 0.5
                    columns = {"point": range(len(output)), "label": data.targets[:, 0] > 0, "output": output}
                    predictions.append(pd.DataFrame({"model": net, "round": round_, "split": split} | columns))
    empty = pd.DataFrame(columns=["model", "round", "split", "point", "label", "output"]).astype({"output": float})
    predictions = pd.concat(predictions, ignore_index=True) if predictions else empty
    results = DiscResults(
        scratch_metrics(predictions, points), pd.concat(history, ignore_index=True), points, predictions,
        labels={"relu": "ReLU", "tanh": "Tanh"}, main="relu", named=["relu", "tanh"], widths={"relu": 8, "tanh": 16},
        published={"relu": 0.03},
    )  # fmt: skip
    path = tmp_path / "figure.png"
    importlib.import_module(f"twinbench.figures.{figure}").draw_disc(results, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_planning_imports_neither_torch_nor_pandas():
    code = "import sys, twinbench.scratch.planning; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "set()"


def test_training_imports_no_compiler():
    """Torch's compiler costs every job 1.5 s."""
    code = "import sys, twinbench.scratch.train, twinbench.scratch.disc_inputs; print('torch._dynamo' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "False"


def test_the_framework_uses_tensor_arithmetic_only():
    used, imported = set(), set()
    for name in ("modules", "losses", "sgd"):
        for node in ast.walk(ast.parse((ROOT / f"src/twinbench/scratch/{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch":
                used.add(node.attr)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("torch"):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert used == {"Generator", "addmm", "dtype", "empty", "float32"}
    assert imported == {"torch.Tensor"}

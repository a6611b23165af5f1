"""The from-scratch study in the DAG: switched on over a finished smoke run, then edited."""

import json
import re
import shutil
import zipfile

import pandas as pd
import pytest

from tests.conftest import Project

STUDY = "config/scratch.yaml"
REPORT = {"report": 1, "archive": 1}
RESULTS = {"scratch_aggregate": 1, "scratch_figure": 4, **REPORT}
FIGURES = {"disc_activations", "disc_curves", "disc_points", "disc_widths"}


@pytest.fixture(scope="module")
def switched_on(smoke, tmp_path_factory):
    """The smoke run of the other tests, copied, and what switching the study on plans there."""
    folder = tmp_path_factory.mktemp("scratch")
    shutil.copytree(smoke.folder, folder, dirs_exist_ok=True)
    project = Project(folder)
    return project, project.planned(scratch=True)


@pytest.fixture(scope="module")
def finished(switched_on):
    project, _ = switched_on
    result = project.snakemake("--cores", "2", scratch=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return project


@pytest.fixture
def edited(finished):
    """The finished project, whose sources a test may edit; they are put back afterwards."""
    folders = ("src", "config", "workflow")
    kept = {path: path.read_bytes() for name in folders for path in (finished.folder / name).rglob("*.*")
            if path.is_file()}  # fmt: skip
    yield finished
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def test_switching_it_on_adds_its_jobs_and_retrains_nothing(switched_on):
    # relu, tanh, tanh-raw and one width; two rounds make one block
    assert switched_on[1] == {
        "scratch_points": 1,
        "scratch_pairs": 1,
        "scratch_train": 4,
        "scratch_digits": 1,
        **RESULTS,
    }


def test_jobs_at_paper_scale(finished):
    planned = finished.planned(scratch=True, scale="paper")
    # ten rounds in blocks 0-7 and 8-9; three nets, seven widths, and the digit net
    assert (planned["scratch_train"], planned["scratch_digits"], planned["scratch_points"]) == (10 * 2, 2, 2)


def test_a_second_run_does_nothing(finished):
    assert finished.planned(scratch=True) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "src/twinbench/scratch/modules.py", "gradient.sum(0)", "gradient.sum(dim=0)",
            {"scratch_train": 4, "scratch_digits": 1, **RESULTS}, id="the framework",
        ),
        pytest.param(
            "src/twinbench/scratch/disc_inputs.py", "train.std(axis=0)", "train.std(0)",
            {"scratch_train": 4, **RESULTS}, id="the disc's inputs",
        ),
        pytest.param(
            "src/twinbench/scratch/pair_inputs.py", "flatten(1)", "flatten(start_dim=1)",
            {"scratch_digits": 1, **RESULTS}, id="the digit net's inputs",
        ),
        pytest.param(
            "src/twinbench/figures/disc_curves.py", "new_figure(7.5,", "new_figure(7.6,",
            {"scratch_figure": 1, **REPORT}, id="a figure",
        ),
        pytest.param(STUDY, "label: 2×128, Tanh\n", "label: Tanh\n", {"scratch_figure": 4, **REPORT}, id="a label"),
        pytest.param(
            STUDY, "{metric: error, split: train, value: 0.03}", "{metric: error, split: train, value: 0.04}",
            REPORT, id="a published number of the table",
        ),
        pytest.param(
            STUDY, "widths: [8]", "widths: [8, 4]", {"scratch_train": 1, **RESULTS}, id="one width more",
        ),
        pytest.param(
            STUDY, "training: {standardise: false}", "training: {standardise: false, lr: 0.01}",
            {"scratch_train": 1, **RESULTS}, id="one net's learning rate",
        ),
        pytest.param(
            "src/twinbench/training/loop.py", "began = time.perf_counter()", "began = 0 + time.perf_counter()",
            {}, id="nothing of it",
        ),
    ],
)  # fmt: skip
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(edited, file, old, new, expected):
    edited.edit(file, old, new)
    planned = edited.planned(scratch=True)
    others = ("train", "evaluate", "aggregate", "figure", "collect", "overview")  # those of the digit-pair studies
    if file != "src/twinbench/training/loop.py":
        assert not set(planned) & set(others)
    kept = {rule: count for rule, count in planned.items() if "scratch" in rule or (rule in REPORT and expected)}
    assert kept == expected


def test_results_are_whole(finished):
    folder = finished.folder / "results/smoke/scratch"
    cells = pd.read_parquet(folder / "cells.parquet")
    nets = {"relu", "tanh", "tanh-raw", "width-8", "digits"}
    assert set(cells["model"]) == nets
    assert len(cells) == len(nets) * 2
    assert (cells["status"] == "ok").all()
    # 2 → 128 → 128 → 1 and 392 → 64 → 32 → 1, weights and biases
    parameters = cells.groupby("model")["parameters"].first()
    assert parameters["relu"] == 3 * 128 + 129 * 128 + 129
    assert parameters["digits"] == 393 * 64 + 65 * 32 + 33
    history = pd.read_parquet(folder / "history.parquet")
    assert len(history) == len(nets) * 2 * 3 * 2  # rounds, epochs, splits
    # Predictions are of the last epoch: the metrics that follow from them are the history's last row.
    metrics = pd.read_parquet(folder / "metrics.parquet").set_index(["model", "round", "split", "metric"])["value"]
    for row in history[history["epoch"] == 3].itertuples():
        key = (row.model, row.round, row.split)
        assert metrics[(*key, "accuracy")] == pytest.approx(row.accuracy, abs=1e-12)
        assert metrics[(*key, "loss")] == pytest.approx(row.loss, rel=1e-5)  # summed in another order, in float32
    assert set(metrics.xs("constant", level="model").index.get_level_values("split")) == {"train", "test"}


def test_the_digit_net_sees_the_pairs_of_the_study(finished):
    results = finished.folder / "results/smoke"
    own = pd.read_parquet(results / "scratch/pairs/rounds-0-1.parquet").drop(columns="fold")
    study = pd.read_parquet(results / "pairs/siamese-resnets/rounds-0-1.parquet").drop(columns="fold")
    pd.testing.assert_frame_equal(own, study)


def test_a_training_logs_a_line_an_epoch(finished):
    log = (finished.folder / "results/smoke/logs/scratch/train/relu/rounds-0-1.log").read_text(encoding="utf-8")
    pattern = r"epoch \d/3: train loss [\d.]+ accuracy [\d.]+%, test loss [\d.]+ accuracy [\d.]+%; [\d.]+ s left"
    assert len(re.findall(pattern, log)) == 2 * 3
    assert "Sequential(Linear(2, 128), ReLU, Linear(128, 128), ReLU, Linear(128, 1))" in log


def test_the_report_has_its_section(finished):
    results = finished.folder / "results/smoke"
    report = (results / "report.md").read_text(encoding="utf-8")
    section = report[report.index("\n## scratch\n") : report.index("\n## Provenance\n")]
    links = re.findall(r"!\[([^\]]{10,})\]\(([^)]+)\)", section)
    assert {target for _, target in links} == {f"figures/scratch/{figure}.png" for figure in FIGURES}
    assert all((results / target).read_bytes().startswith(b"\x89PNG") for _, target in links)
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert any(re.match(r"\| 2×128, ReLU \| 17,025 .*\| test error \| .* \| 3\.0 % \|", row) for row in rows)
    assert any(re.match(r"\| 2×128, Tanh \| .*\| test error \| .* \| 50\.0 % \|", row) for row in rows)
    assert any(row.startswith("| digit pairs, 392→64→32→1, ReLU |") for row in rows)
    assert "> - `scratch`: `{protocol: " in report
    assert "nan" not in section.lower()
    with zipfile.ZipFile(results / "twinbench-smoke.zip") as archive:
        assert {f"twinbench-smoke/figures/scratch/{figure}.png" for figure in FIGURES} <= set(archive.namelist())


def test_the_html_report_has_its_figures(finished):
    result = finished.snakemake("--report", "scratch.zip", scratch=True)
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(finished.folder / "scratch.zip") as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith((".js", ".html")))
    assert all(json.dumps(figure)[1:-1] in text for figure in FIGURES)
    assert "ReLU against Tanh: error on test points" in text  # a caption


def test_a_mistake_stops_the_planning_with_one_line(edited):
    edited.edit(STUDY, "main: relu", "main: gelu")
    result = edited.snakemake("--dry-run", scratch=True)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert lines == ["config/scratch.yaml: main: unknown net 'gelu'; allowed: relu, tanh, tanh-raw"]


def test_a_partial_report_leaves_it_out_and_says_why(finished):
    record = finished.folder / "results/smoke/scratch/cells/tanh/rounds-0-1/record.json"
    hidden = record.rename(record.with_suffix(".hidden"))
    try:
        result = finished.snakemake("--cores", "1", "--rerun-triggers", "mtime", "input", scratch=True, partial=True)
        assert result.returncode == 0, result.stderr[-3000:]
        report = (finished.folder / "results/smoke/report.md").read_text(encoding="utf-8")
        assert "- `scratch`, model `tanh`, fold all, rounds 0-1. The end of its log" in report
        assert "\n## scratch\n" not in report
    finally:
        hidden.rename(record)

"""The models that the finished smoke run lacks, through the whole workflow; and checks on the models of both runs."""

import re

import pandas as pd
import pytest

from tests.conftest import ROOT, Project
from twinbench.config.loading import load_config, load_studies
from twinbench.spec.rounds import parse_rounds

REST = ["siamese-resnets", "parameter-budget", "transfer", "dense-vs-conv"]
RUNS = {"smoke": ["twin-lenet", "siamese-resnets"], "rest": REST}  # the studies of pairs of each run


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("rest"), whole=True)
    result = project.snakemake("--cores", "2", studies=f"[{','.join(REST)}]", sweeps=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return project


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    """A finished run, and its studies of pairs."""
    project = request.getfixturevalue(request.param)
    config = {"scale": "smoke", "seed": 2021, "rounds_per_job": 8, "studies": RUNS[request.param]}
    return project, load_studies(load_config(config), project.folder / "config/studies")


def test_every_study_is_in_one_of_the_runs():
    assert {path.stem for path in (ROOT / "config/studies").glob("*.yaml")} == {*RUNS["smoke"], "disc", *REST}


def test_every_model_of_every_study_has_its_results(run):
    project, studies = run
    results = project.folder / "results/smoke"
    cells, metrics, errors = (pd.read_parquet(results / f"{name}.parquet") for name in ("cells", "metrics", "errors"))
    assert (cells.loc[cells["study"].isin(studies), "status"] == "ok").all()
    for name, study in studies.items():
        for model in study.models:
            rounds = sum(len(parse_rounds(block)) for block in study.blocks(model))
            of_model = cells[(cells["study"] == name) & (cells["model"] == model)]
            assert len(of_model) == study.trainings(model, range(rounds))
            of_model = metrics[(metrics["study"] == name) & (metrics["model"] == model)]
            splits = {"train", "test"} | (
                {"validation"} if study.protocol.folds or study.protocol.pairs.validation else set()
            )
            assert set(of_model["split"]) == splits
            of_model = errors[(errors["study"] == name) & (errors["model"] == model)]
            assert of_model["pairs"].sum() == study.protocol.pairs.test * rounds


def test_our_own_framework_trains_one_model_of_pairs(rest):
    cells = pd.read_parquet(rest.folder / "results/smoke/cells.parquet").query("strategy == 'scratch'")
    assert set(zip(cells["study"], cells["model"], strict=True)) == {("dense-vs-conv", "scratch")}
    assert set(cells["parameters"]) == {393 * 64 + 65 * 32 + 33}  # 392 → 64 → 32 → 1, weights and biases


def test_rounds_with_fixed_data_differ_in_their_weights_alone(rest):
    results = rest.folder / "results/smoke"
    pairs = pd.read_parquet(results / "examples/transfer/rounds-0-1.parquet")
    first, second = (rows.drop(columns="round").reset_index(drop=True) for _, rows in pairs.groupby("round"))
    assert first.equals(second)
    history = pd.read_parquet(results / "history.parquet").query("study == 'transfer' and split == 'train'")
    assert (history.groupby(["model", "epoch"])["loss"].nunique() == 2).all()


def test_the_report_has_a_row_with_a_verdict_for_every_published_number(run):
    project, studies = run
    report = (project.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    for name, study in studies.items():
        section = re.search(rf"^## {name}\n.*?(?=^## )", report, re.DOTALL | re.MULTILINE)[0]
        rows = [line for line in section.splitlines() if line.startswith("| ")]
        for model in study.models.values():
            of_model = [row for row in rows if row.startswith((f"| {model.label} |", f"| {model.label} ("))]
            verdicts = [row for row in of_model if "no verdict" in row]
            assert len(verdicts) == len(model.published.values)
            assert [row for row in of_model if row not in verdicts], "each has a row in the table of all models"


def test_the_report_says_which_weights_resnets_start_from(rest):
    report = (rest.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    assert "Initial weights: random for MNISTResNet and MNISTResSiameseNet." in report

"""The whole workflow at smoke scale on real MNIST: its tables, its report, and that a seed fixes every number."""

import json
import re
import zipfile

import pandas as pd
import pytest
from safetensors import safe_open
from sklearn.metrics import accuracy_score

from tests.conftest import Project
from twinbench.evaluation.statistics import reported

STUDIES = {"twin-lenet", "siamese-resnets"}


@pytest.fixture(scope="module")
def results(smoke):
    return smoke.folder / "results/smoke"


@pytest.fixture(scope="module")
def report(results):
    return (results / "report.md").read_text(encoding="utf-8")


def test_metrics_have_every_model_and_baseline(results):
    metrics = pd.read_parquet(results / "metrics.parquet")
    assert list(metrics.columns) == ["study", "model", "fold", "round", "split", "metric", "value"]
    assert set(metrics["study"]) == STUDIES
    models = metrics.groupby("study")["model"].unique().map(sorted)
    assert models["twin-lenet"] == ["auxiliary", "constant", "plain", "shared", "shared-auxiliary"]
    assert models["siamese-resnets"] == ["constant", "convnet", "mlp", "siamese-classes", "siamese-targets"]
    accuracy = metrics[metrics["metric"] == "accuracy"]
    # twin-lenet: 5 models × 2 rounds × (train, test); siamese-resnets: 5 × 2 × 2 folds × (train, validation, test)
    assert accuracy.groupby("study").size().to_dict() == {"twin-lenet": 20, "siamese-resnets": 60}
    assert accuracy["value"].between(0, 1).all()


def test_metrics_follow_from_the_stored_predictions(results):
    metrics = pd.read_parquet(results / "metrics.parquet")
    rows = pd.read_parquet(results / "predictions/siamese-resnets/siamese-classes.parquet")
    rows = rows.query("fold == '1' and round == 1 and split == 'test'")
    assert len(rows) == 200
    expected = accuracy_score(rows["target"], rows["left_predicted"] <= rows["right_predicted"])
    query = "model == 'siamese-classes' and fold == '1' and round == 1 and split == 'test' and metric == 'accuracy'"
    assert metrics.query(query)["value"].tolist() == [expected]


def test_every_replica_predicts_with_its_own_weights(results):
    """The accuracy of the stored predictions is what training saw, replica by replica, at the epoch that it kept."""
    history, cells = (pd.read_parquet(results / f"{name}.parquet") for name in ("history", "cells"))
    axes = ["study", "model", "fold", "round"]
    kept = history.merge(cells[[*axes, "best_epoch"]], on=axes).query("epoch == best_epoch")
    metrics = pd.read_parquet(results / "metrics.parquet").query("metric == 'accuracy' and model != 'constant'")
    both = kept.merge(metrics, on=[*axes, "split"])
    assert len(both) == len(metrics) == 16 + 48
    assert both["accuracy"].tolist() == pytest.approx(both["value"].tolist(), abs=1e-6)
    # Replicas do differ, so that a mix-up would show.
    assert both.groupby(["study", "model"])["loss"].nunique().min() >= 4


def test_errors_are_those_of_the_reported_accuracy(results):
    errors = pd.read_parquet(results / "errors.parquet")
    assert errors.groupby(["study", "model"]).size().tolist() == [100] * 8
    totals = errors.groupby(["study", "model"])[["pairs", "errors"]].sum()
    accuracy = reported(pd.read_parquet(results / "metrics.parquet")).query("split == 'test' and metric == 'accuracy'")
    means = accuracy.query("model != 'constant'").groupby(["study", "model"])["value"].mean()
    assert (1 - totals["errors"] / totals["pairs"]).tolist() == pytest.approx(means.tolist())


def test_the_hardest_pairs_are_of_mnists_test_part(results):
    table = pd.read_parquet(results / "studies/siamese-resnets/hardest.parquet")
    assert table.groupby("rank")["model"].unique().map(list).tolist() == [list(table["model"][:4])] * 12
    with safe_open(results.parent / "mnist/digits.safetensors", "numpy") as digits:
        images, labels = (digits.get_tensor(f"test_{name}") for name in ("images", "labels"))
    for row in table.itertuples():
        assert (labels[row.left_index], labels[row.right_index]) == (row.left_digit, row.right_digit)
        assert row.right_image.tolist() == images[row.right_index].ravel().tolist()
        assert (row.left_predicted >= 0) == (row.model == "siamese-classes")
    wrong = (table["answer"] != table["target"]).groupby(table["rank"]).mean()
    assert wrong.tolist() == table.groupby("rank")["wrong"].first().tolist()
    assert wrong.is_monotonic_decreasing


def test_jobs_stay_under_their_memory(results):
    peaks = [pd.read_csv(path, sep="\t")["max_rss"].max() for path in (results / "benchmarks/train").rglob("*.tsv")]
    assert len(peaks) == 12
    assert max(peaks) < 1500  # MB, what the rule asks for


def test_cells_and_weights(results):
    cells = pd.read_parquet(results / "cells.parquet")
    assert len(cells) == 4 * 2 + 4 * 2 * 2
    assert (cells["status"] == "ok").all()
    assert (cells["train_seconds"] > 0).all()
    assert cells.groupby("model")["parameters"].first()["shared-auxiliary"] == 9574
    folder = results / "cells/twin-lenet/plain/fold-all/rounds-0-1"
    with safe_open(folder / "weights.safetensors", "numpy") as weights:
        assert all(weights.get_slice(name).get_shape()[0] == 2 for name in weights.keys())  # noqa: SIM118 - not a dict
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert [ended["round"] for ended in record["rounds"]] == [0, 1]
    assert (record["strategy"], record["threads"], record["device"]) == ("loop", 1, "cpu")


def test_training_logs_a_line_an_epoch_with_the_time_left(results):
    log = (results / "logs/train/twin-lenet/plain/fold-all/rounds-0-1.log").read_text(encoding="utf-8")
    lines = re.findall(
        r"epoch \d/2, 2 training: train loss [\d.]+ accuracy [\d.]+%, test loss .*; [\d.]+ s an epoch, [\d.]+ s left",
        log,
    )
    assert len(lines) == 2


def test_report_links_figures_that_exist(results, report):
    links = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", report)
    assert len(links) == 10
    for alt, target in links:
        assert len(alt) > 10
        assert (results / target).read_bytes().startswith(b"\x89PNG")


def test_report_tables_render(report):
    lines = report.splitlines()
    tables = 0
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|( --- \|)+", line):
            tables += 1
            width = line.count("|")
            assert lines[number - 2] == "", "a table needs an empty line before its header"
            rows = [lines[number - 1]]
            while lines[number + 1 :] and lines[number + 1].startswith("|"):
                number += 1
                rows.append(lines[number])
            assert all(row.count("|") == width for row in rows)
    # what was run; both comparisons, errors and cost of each study; siamese-resnets' folds; provenance
    assert tables == 1 + 2 * 4 + 1 + 1


def test_report_says_what_was_run(report):
    expected = {
        "shared": "weight sharing | 9,574 (as published, see below) | test error",
        "published": "| 12.7 ± 1.6 % (n = 32) |",
        "other count": "30,054 (published: 30,006)",
        "banner": "> **Scale `smoke`: smaller than the published protocols.**",
        "along the diagonal": "- Trained on the target alone: ",
        "silent": "### Where the source is silent",
        "seed": "base seed 2021",
    }
    assert [name for name, text in expected.items() if text not in report] == []
    assert re.search(r"\b\d{4}-\d\d-\d\d\b", report) is None, "a date would change the report without any change"


def test_archive_holds_report_figures_and_tables(results):
    with zipfile.ZipFile(results / "twinbench-smoke.zip") as archive:
        names = set(archive.namelist())
    assert {f"twinbench-smoke/{name}" for name in ("report.md", "metrics.parquet", "figures/overview.png")} <= names
    assert len([name for name in names if name.endswith(".png")]) == 10


def test_html_report_holds_figures_and_captions(smoke):
    result = smoke.snakemake("--report", "report.zip")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(smoke.folder / "report.zip") as archive:
        names = archive.namelist()
        (page,) = (name for name in names if name.endswith("report.html"))
        data = archive.read(page).decode() + "".join(archive.read(n).decode() for n in names if n.endswith(".js"))
    assert len([name for name in names if name.endswith(".png")]) == 10
    assert all(category in data for category in (*STUDIES, "all studies"))
    assert "Mean validation accuracy over the cross-validation folds" in data  # a caption


def test_same_seed_same_numbers_whatever_the_cores_the_studies_and_the_block_size(smoke, tmp_path):
    alone = Project(tmp_path)
    metrics = "results/smoke/metrics.parquet"
    result = alone.snakemake(metrics, "--cores", "1", studies="[twin-lenet]", rounds_per_job=1)
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = (pd.read_parquet(project.folder / metrics) for project in (smoke, alone))
    pd.testing.assert_frame_equal(first.query("study == 'twin-lenet'").reset_index(drop=True), second, check_exact=True)

"""The whole workflow at smoke scale on real MNIST: its tables, its report, and that a seed fixes every number."""

import json
import re
import zipfile

import pandas as pd
import pytest
from safetensors import safe_open
from sklearn.metrics import accuracy_score

from tests.conftest import SWEEPS, Project
from twinbench.evaluation.statistics import reported

STUDIES = {"twin-lenet", "siamese-resnets", "disc"}
SETTINGS = {f"twin-lenet.{sweep}" for sweep in SWEEPS} | {"disc.width"}


@pytest.fixture(scope="module")
def results(smoke):
    return smoke.folder / "results/smoke"


@pytest.fixture(scope="module")
def report(results):
    return (results / "report.md").read_text(encoding="utf-8")


def test_metrics_have_every_model_and_baseline(results):
    metrics = pd.read_parquet(results / "metrics.parquet")
    assert list(metrics.columns) == ["study", "model", "fold", "round", "split", "metric", "value", "reported"]
    assert set(metrics["study"]) == STUDIES | SETTINGS
    models = metrics.groupby("study")["model"].unique().map(sorted)
    assert models["twin-lenet"] == [
        "auxiliary", "constant", "plain", "plain-convnet", "shared", "shared-auxiliary", "shared-dropout",
    ]  # fmt: skip
    described = ["convnet", "mlp", "siamese-classes", "siamese-targets"]
    assert models["siamese-resnets"] == sorted(["constant", *described, *(f"{name}-as-run" for name in described)])
    assert models["disc"] == ["constant", "relu", "tanh", "tanh-raw"]
    assert models["disc.width"] == ["constant", "width-2", "width-256"]
    assert models["twin-lenet.both"] == ["activation-relu_batch_size-50", "activation-tanh_batch_size-50", "constant"]
    assert models["twin-lenet.pairs"] == ["constant", "train-50", "train-80"]
    assert models["twin-lenet.rate"] == ["constant", "lr-0.1"], "the other setting diverged"
    accuracy = metrics[metrics["metric"] == "accuracy"]
    assert accuracy.groupby("study").size().to_dict() == {
        # twin-lenet: 7 models × 2 rounds × (train, test); siamese-resnets: 9 × 2 × 2 folds × (train, validation, test)
        "twin-lenet": 28, "siamese-resnets": 108, "disc": 4 * 2 * 2,
        # a sweep: 2 settings and the baseline × 2 rounds × (train, validation, test)
        "twin-lenet.rate": 12, "twin-lenet.both": 18, "twin-lenet.pairs": 18, "disc.width": 18,
    }  # fmt: skip
    assert accuracy["value"].between(0, 1).all()


def test_metrics_follow_from_the_stored_predictions(results):
    metrics = pd.read_parquet(results / "metrics.parquet")
    rows = pd.read_parquet(results / "predictions/siamese-resnets.parquet")
    rows = rows.query("model == 'siamese-classes' and fold == '1' and round == 1 and split == 'test'")
    assert len(rows) == 200
    expected = accuracy_score(rows["target"], rows["left_predicted"] <= rows["right_predicted"])
    query = "model == 'siamese-classes' and fold == '1' and round == 1 and split == 'test' and metric == 'accuracy'"
    assert metrics.query(query)["value"].tolist() == [expected]


def test_every_replica_predicts_with_its_own_weights(results):
    """The accuracy of the stored predictions is what training saw, replica by replica, at the epoch that it kept.

    Only the test pairs of models as run differ: after each epoch they pass in training mode, but are predicted in evaluation mode.
    """
    history, cells = (pd.read_parquet(results / f"{name}.parquet") for name in ("history", "cells"))
    axes = ["study", "model", "fold", "round"]
    kept = history.merge(cells[[*axes, "best_epoch"]], on=axes).query("epoch == best_epoch")
    kept = kept[~(kept["model"].str.endswith("-as-run") & (kept["split"] == "test"))]
    metrics = pd.read_parquet(results / "metrics.parquet").query("metric == 'accuracy' and model != 'constant'")
    both = kept.merge(metrics, on=[*axes, "split"])
    # Curves are those of one fold, and stopping needs the validation pairs of the other, too. twin-lenet's 6 models × 2
    # rounds × 2 splits; siamese-resnets' 4 × 2 × (3 + 1), and as run without test pairs; disc; rate, both, pairs, width
    assert len(both) == 24 + 32 + 24 + 12 + 4 + 8 + 8 + 8
    assert both["accuracy"].tolist() == pytest.approx(both["value"].tolist(), abs=1e-6)
    # The disc keeps the last epoch, and its loss is the squared difference.
    losses = pd.read_parquet(results / "metrics.parquet").query("metric == 'loss' and model != 'constant'")
    losses = kept.merge(losses, on=[*axes, "split"], validate="one_to_one")
    assert len(losses) == len(both)
    assert losses["loss"].tolist() == pytest.approx(losses["value"].tolist(), rel=1e-5)
    # Replicas do differ, so that a mix-up would show.
    assert both.groupby(["study", "model"])["loss"].nunique().min() >= 4


def test_errors_are_those_of_the_reported_accuracy(results):
    errors = pd.read_parquet(results / "errors.parquet")
    assert errors.groupby(["study", "model"]).size().tolist() == [100] * (8 + 6), (
        "neither the disc nor sweeps have digits"
    )
    totals = errors.groupby(["study", "model"])[["pairs", "errors"]].sum()
    accuracy = reported(pd.read_parquet(results / "metrics.parquet")).query("split == 'test' and metric == 'accuracy'")
    accuracy = accuracy[accuracy["study"].isin(errors["study"].unique())]
    means = accuracy.query("model != 'constant'").groupby(["study", "model"])["value"].mean()
    assert (1 - totals["errors"] / totals["pairs"]).tolist() == pytest.approx(means.tolist())


def test_the_hardest_pairs_are_of_mnists_test_part(results):
    table = pd.read_parquet(results / "studies/siamese-resnets/hardest.parquet")
    assert table.groupby("rank")["model"].unique().map(list).tolist() == [list(table["model"][:8])] * 12
    with safe_open(results.parent / "images/mnist.safetensors", "numpy") as digits:
        images, labels = (digits.get_tensor(f"test_{name}") for name in ("images", "labels"))
    for row in table.itertuples():
        assert (labels[row.left_index], labels[row.right_index]) == (row.left_digit, row.right_digit)
        assert row.right_image.tolist() == images[row.right_index].ravel().tolist()
        assert (row.left_predicted >= 0) == row.model.startswith("siamese-classes")
    wrong = (table["answer"] != table["target"]).groupby(table["rank"]).mean()
    assert wrong.tolist() == table.groupby("rank")["wrong"].first().tolist()
    assert wrong.is_monotonic_decreasing


def test_jobs_stay_under_their_memory(results):
    peaks = [pd.read_csv(path, sep="\t")["max_rss"].max() for path in (results / "benchmarks/train").rglob("*.tsv")]
    assert len(peaks) == 6 + 8 + 3 + 3 * 2 + 2
    assert max(peaks) < 1500  # MB, what the rule asks for


def test_cells_and_weights(results):
    cells = pd.read_parquet(results / "cells.parquet")
    assert len(cells) == 6 * 2 + 8 * 2 * 2 + 3 * 2 * 2 + 3 * 2 + 2 * 2
    assert cells.loc[cells["status"] != "ok", ["study", "model", "status", "round"]].to_numpy().tolist() == [
        ["twin-lenet.rate", "lr-1e+30", "diverged", round_] for round_ in (0, 1)
    ]
    assert (cells["train_seconds"] > 0).all()
    parameters = cells.groupby("model")["parameters"].first()
    assert parameters["shared-auxiliary"] == 9574
    # 2 → 128 → 128 → 1, weights and biases
    assert parameters["relu"] == 3 * 128 + 129 * 128 + 129
    history = pd.read_parquet(results / "history.parquet")
    assert len(history.query("study == 'disc'")) == 3 * 2 * 3 * 2  # models, rounds, epochs, splits
    folder = results / "cells/twin-lenet/plain/rounds-0-1"
    with safe_open(folder / "weights.safetensors", "numpy") as weights:
        assert all(weights.get_slice(name).get_shape()[0] == 2 for name in weights.keys())  # noqa: SIM118 - not a dict
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert [ended["round"] for ended in record["trainings"]] == [0, 1]
    assert (record["strategy"], record["threads"], record["device"]) == ("loop", 1, "cpu")
    record = json.loads((results / "cells/disc/relu/rounds-0-1/record.json").read_text(encoding="utf-8"))
    assert (record["study"], record["model"], record["strategy"]) == ("disc", "relu", "scratch")


def test_a_setting_of_fewer_pairs_sees_the_first_of_the_same_table(results):
    examples = pd.read_parquet(results / "examples/twin-lenet.pairs/rounds-0-1.parquet")
    predictions = pd.read_parquet(results / "predictions/twin-lenet.pairs.parquet")
    axes = ["round", "split", "pair"]
    for setting, count in (("train-50", 50), ("train-80", 80)):
        place = examples.groupby(["round", "split"]).cumcount()
        expected = examples[(examples["split"] != "train") | (place < count)].sort_values(axes)
        seen = predictions[predictions["model"] == setting].sort_values(axes)
        assert seen[[*axes, "target"]].to_numpy().tolist() == expected[[*axes, "target"]].to_numpy().tolist()
        assert seen.groupby(["round", "split"]).size()[:, "train"].tolist() == [count, count]


def test_the_disc_has_predictions_on_a_grid(results):
    rows = pd.read_parquet(results / "predictions/disc.parquet").query("model != 'constant'")
    assert set(rows["split"]) == {"train", "test", "grid"}
    assert rows["target_logit"].notna().all()


def test_training_logs_a_line_per_epoch_with_the_time_left(results):
    log = (results / "logs/train/twin-lenet/plain/rounds-0-1.log").read_text(encoding="utf-8")
    assert len(re.findall(r"epoch \d/2: [\d.]+ s per epoch, [\d.]+ s left\n", log)) == 2
    log = (results / "logs/train/disc/relu/rounds-0-1.log").read_text(encoding="utf-8")
    assert len(re.findall(r"epoch \d/3: [\d.]+ s per epoch, [\d.]+ s left\n", log)) == 3


def test_report_links_figures_that_exist(results, report):
    links = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", report)
    assert len(links) == 1 + 4 + 3 + 5 + 2 + 1
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
    # what was run, and reproduced; published values, models and cost of each study; errors of two; siamese-resnets'
    # folds; sweeps; provenance
    assert tables == 2 + 3 * 3 + 2 + 1 + 4 + 1


def test_report_says_what_was_run(report):
    expected = {
        "shared": "| weight sharing | 9,574 (as published, see below) |",
        "published": "| weight sharing | test error | 12.7 ± 1.6 % (n = 32) |",
        "other count": "30,054 (published: 30,006)",
        "banner": "> **Scale `smoke`: smaller than the published protocols.**",
        "along the diagonal": "- Trained on the target alone: ",
        "silent": "### Where the source is silent",
        "seed": "base seed 2021",
    }
    assert [name for name, text in expected.items() if text not in report] == []
    assert re.search(r"\b\d{4}-\d\d-\d\d\b", report) is None, "a date would change the report without any change"


def test_the_report_shows_the_sweeps(results, report):
    section = report[report.index("### Sweeps") : report.index("### Cost")]
    for sweep, figure in (("rate", "sweep_line"), ("both", "sweep_map"), ("pairs", "sweep_line")):
        assert f"(figures/twin-lenet.{sweep}/{figure}.png)" in section
    assert "| 1e+30 | no result | no result | no result | 2 |" in section
    assert "- Best setting: learning rate 0.1, validation error " in section
    assert "- Ours: no verdict, smaller protocol; learning rate 0.1: " in section
    assert "> - sweeps of `twin-lenet`, in addition: `" in report


def test_the_report_shows_the_disc(report):
    section = report[report.index("\n## disc\n") : report.index("\n## Provenance\n")]
    assert set(re.findall(r"\(figures/([^)]+)\.png\)", section)) == {
        "disc/disc_points", "disc/disc_curves", "disc.width/sweep_line",
    }  # fmt: skip
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert any(re.match(r"\| 2×128, ReLU \| test error \| 3\.0 % \|", row) for row in rows)
    assert any(re.match(r"\| 2×128, Tanh \| test error \| 50\.0 % \|", row) for row in rows)
    assert "> - `disc`: `{protocol: " in report
    assert "nan" not in section.lower()


def test_archive_holds_report_figures_and_tables(results):
    with zipfile.ZipFile(results / "twinbench-smoke.zip") as archive:
        names = set(archive.namelist())
    assert {
        f"twinbench-smoke/{name}"
        for name in ("report.md", "reproduction.parquet", "figures/overview.png", "figures/disc/disc_points.png")
    } <= names
    assert len([name for name in names if name.endswith(".png")]) == 16


def test_html_report_holds_figures_and_captions(smoke):
    result = smoke.snakemake("--report", "report.zip")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(smoke.folder / "report.zip") as archive:
        names = archive.namelist()
        (page,) = (name for name in names if name.endswith("report.html"))
        data = archive.read(page).decode() + "".join(archive.read(n).decode() for n in names if n.endswith(".js"))
    assert len([name for name in names if name.endswith(".png")]) == 16
    assert all(category in data for category in (*STUDIES, "all studies"))
    assert "Mean validation accuracy over the cross-validation folds" in data  # a caption
    assert all(
        json.dumps(figure)[1:-1] in data for figure in ("disc_points", "disc_curves", "sweep width", "sweep rate")
    )


def test_same_seed_same_numbers_whatever_the_cores_the_studies_and_the_block_size(smoke, tmp_path):
    alone = Project(tmp_path)
    metrics = "results/smoke/metrics.parquet"
    result = alone.snakemake(metrics, "--cores", "1", studies="[twin-lenet]", sweeps=False, rounds_per_job=1)
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = (pd.read_parquet(project.folder / metrics) for project in (smoke, alone))
    pd.testing.assert_frame_equal(first.query("study == 'twin-lenet'").reset_index(drop=True), second, check_exact=True)

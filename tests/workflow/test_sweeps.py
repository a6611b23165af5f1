"""Sweeps in the DAG: a small one at smoke scale from the study file to the report, and what an edit of it reruns."""

import pandas as pd
import pytest
import yaml

from tests.conftest import Project

STUDY = "config/studies/twin-lenet.yaml"
RUN = {"sweeps": True, "studies": "[twin-lenet]"}
RATE = {
    "title": "Learning rate", "base": "shared-auxiliary", "metric": "error", "split": "test",
    "training": {"optimizer": {"name": "sgd"}}, "axes": {"training.optimizer.lr": [0.1, 1e30]},
    "published": {"conclusion": "It is 0.1.", "best": {"training.optimizer.lr": 0.1}},
}  # fmt: skip
BOTH = {
    "title": "Activation and batch size", "base": "plain", "metric": "accuracy",
    "axes": {"options.activation": ["relu", "tanh"], "training.batch_size": [50]},
}  # fmt: skip
PAIRS = {
    "title": "Training pairs", "base": "shared-auxiliary", "metric": "error", "axes": {"protocol.pairs.train": [50, 80]},
}  # fmt: skip
SWEEPS = {"rate": RATE, "both": BOTH, "pairs": PAIRS}


def with_sweeps(project, sweeps):
    """Give the study of a project these sweeps and one model besides those that they start from."""
    study = yaml.safe_load((project.folder / STUDY).read_text(encoding="utf-8"))
    study["models"] = {name: study["models"][name] for name in ("plain", "shared-auxiliary")}
    study |= {"sweeps": sweeps, "figures": ["rounds"]}
    (project.folder / STUDY).write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("swept"))
    with_sweeps(project, SWEEPS)
    result = project.snakemake("--cores", "2", **RUN)
    assert result.returncode == 0, result.stderr[-3000:]
    return project


def test_the_table_has_every_point_also_the_diverged_one(swept):
    table = pd.read_parquet(swept.folder / "results/smoke/sweeps.parquet")
    assert table.groupby(["sweep", "point"]).size().to_dict() == {
        ("both", "activation-relu_batch_size-50"): 6, ("both", "activation-tanh_batch_size-50"): 6,
        ("rate", "lr-0.1"): 6, ("rate", "lr-1e+30"): 6, ("pairs", "train-50"): 6, ("pairs", "train-80"): 6,
    }  # fmt: skip
    diverged = table[table["point"] == "lr-1e+30"]
    assert (diverged["status"] == "diverged").all()
    assert diverged["value"].isna().all()
    assert table.loc[table["status"] == "ok", "value"].between(0, 1).all()


def test_the_values_are_those_of_the_predictions(swept):
    """A sweep reads the histories; what evaluation and aggregation would say of its points is the same."""
    metrics = "results/smoke/studies/twin-lenet.rate/metrics.parquet"
    result = swept.snakemake(metrics, "--cores", "2", **RUN)
    assert result.returncode == 0, result.stderr[-3000:]
    predicted = pd.read_parquet(swept.folder / metrics).query("model == 'lr-0.1' and metric == 'accuracy'")
    table = pd.read_parquet(swept.folder / "results/smoke/sweeps.parquet").query("point == 'lr-0.1'")
    both = predicted.merge(table, on=["round", "split"])
    assert len(both) == 6
    assert both["value_y"].tolist() == pytest.approx((1 - both["value_x"]).tolist(), abs=1e-6)


def test_a_point_of_fewer_pairs_has_the_first_of_the_same_table(swept):
    pairs = swept.folder / "results/smoke/pairs/twin-lenet.pairs"
    for point, count in (("train-50", 50), ("train-80", 80)):
        (path,) = (pairs / point).glob("*.parquet")  # a block of two rounds
        whole = pd.read_parquet(pairs / path.name)
        place = whole.groupby(["round", "split"]).cumcount()
        expected = whole[(whole["split"] != "train") | (place < count)].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_parquet(path).reset_index(drop=True), expected)
        assert expected.groupby(["round", "split"]).size()[:, "train"].tolist() == [count, count]


def test_the_report_shows_the_sweeps(swept):
    results = swept.folder / "results/smoke"
    report = (results / "report.md").read_text(encoding="utf-8")
    section = report[report.index("### Sweeps") : report.index("### Cost")]
    for sweep in SWEEPS:
        assert f"(figures/twin-lenet/sweeps/{sweep}.png)" in section
        assert (results / f"figures/twin-lenet/sweeps/{sweep}.png").read_bytes().startswith(b"\x89PNG")
    assert "| 1e+30 | no result | no result | no result | 2 |" in section
    assert "- Best setting: learning rate 0.1, validation error " in section
    assert "- Ours: no verdict, smaller protocol; learning rate 0.1: " in section
    assert "> - sweeps of `twin-lenet`, beside that: `" in report


def test_edits_of_a_sweep_rerun_what_depends_on_them(swept):
    assert swept.planned(**RUN) == {}
    after = {"sweep_table": 1, "sweep_figure": 3, "collect_sweeps": 1, "report": 1, "archive": 1}
    more = RATE | {"axes": {"training.optimizer.lr": [0.03, 0.1, 1e30]}}
    with_sweeps(swept, SWEEPS | {"rate": more})
    assert swept.planned(**RUN) == {"train": 1, **after}
    with_sweeps(swept, SWEEPS | {"rate": RATE | {"title": "Rate"}})
    assert swept.planned(**RUN) == {"sweep_figure": 1, "report": 1, "archive": 1}
    with_sweeps(swept, {"both": BOTH, "pairs": PAIRS})
    assert swept.planned(**RUN) == after | {"sweep_figure": 2}
    assert swept.planned(**RUN | {"sweeps": False}) == {"report": 1, "archive": 1}
    with_sweeps(swept, SWEEPS)


def test_a_mistake_in_a_sweep_stops_the_planning_with_one_line(swept, tmp_path):
    project = Project(tmp_path)
    with_sweeps(project, {"rate": RATE | {"axes": {"options.dropout": [0.1]}}})
    result = project.snakemake("--dry-run", **RUN)
    assert result.returncode != 0
    expected = f"{STUDY}: sweeps.rate.axes.options.dropout: unknown key; allowed: shared, activation"
    assert [line for line in result.stderr.splitlines() if "profile" not in line] == [expected]


def test_a_partial_report_takes_in_the_points_that_have_ended(swept, tmp_path):
    project = swept.copy(tmp_path)
    (project.folder / "results/smoke/cells/twin-lenet.rate/lr-0.1/fold-all/rounds-0-1/record.json").unlink()
    result = project.snakemake("--cores", "2", "--rerun-triggers", "mtime", "input", partial=True, **RUN)
    assert result.returncode == 0, result.stderr[-3000:]
    report = (project.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    assert "- `twin-lenet.rate`, model `lr-0.1`, fold all, rounds 0-1." in report
    assert "| 0.1 | missing | missing | missing | – |" in report

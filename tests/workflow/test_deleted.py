"""Deleted results come back; deleted intermediate files plan nothing. results/README.md says which is which."""

import re
import shutil
from contextlib import contextmanager

import pytest

from tests.conftest import ROOT, Project
from twinbench.config.loading import load_config, load_studies
from twinbench.spec.rounds import parse_rounds

PAGE = (ROOT / "results/README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| (\w+) \|", PAGE, re.MULTILINE)
CELL = "cells/twin-lenet/plain/rounds-0-1"
# A file of each kind, and the jobs that bring it back with what is made of it.
RESULTS = [
    "report.md",
    "twinbench-smoke.zip",
    "metrics.parquet",
    "cells.parquet",
    "history.parquet",
    "errors.parquet",
    "reproduction.parquet",
    "figures/overview.png",
    "figures/disc.width/sweep_line.png",
    "studies/twin-lenet.rate/metrics.parquet",
    "studies/disc/cells.parquet",
    "studies/twin-lenet/history.parquet",
    "studies/siamese-resnets/errors.parquet",
    "studies/siamese-resnets/hardest.parquet",
    "predictions/twin-lenet.both.parquet",
]
INTERMEDIATE = [
    "../images/mnist.safetensors",
    "examples/disc/rounds-0-1.parquet",
    f"{CELL}/weights.safetensors",
    f"{CELL}/history.parquet",
    f"{CELL}/record.json",
]


def kinds(path):
    """The page's rows that a path below results/ fits: (path, kind)."""
    return [row for row in ROWS if fits(row[0], path)]


def fits(pattern, path):
    words = re.split(r"<\w+>", pattern)
    expression = "[^/]+".join(map(re.escape, words)) + (".*" if pattern.endswith("/") else "")
    return re.fullmatch(expression, path) is not None


@contextmanager
def without(project, names, tmp_path):
    """The finished run without these files, which are put back as they were."""
    folder = project.folder / "results/smoke"
    tmp_path.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        shutil.move(folder / name, tmp_path / str(number))
    try:
        yield
    finally:
        for number, name in enumerate(names):
            shutil.move(tmp_path / str(number), folder / name)


def test_the_page_and_the_targets_name_the_same_results(tmp_path):
    result = Project(tmp_path).snakemake("--dry-run")
    block = re.search(r"rule default:\n    input: (.+)\n", result.stdout + result.stderr)[1]
    targets = [path.removeprefix("results/") for path in block.split(", ")]
    assert [path for path in targets if [kind for _, kind in kinds(path)] != ["result"]] == []
    results = [pattern for pattern, kind in ROWS if kind == "result"]
    assert [pattern for pattern in results if not any(fits(pattern, path) for path in targets)] == []
    assert {kind for _, kind in ROWS} == {"result", "intermediate", "note"}


def test_the_page_has_one_row_for_every_file(smoke):
    folder = smoke.folder / "results"
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files.remove("README.md")
    assert len(files) > 200
    assert [path for path in files if len(kinds(path)) != 1] == []
    missing = [pattern for pattern, kind in ROWS if kind != "note" and not any(fits(pattern, path) for path in files)]
    assert missing == ["pretrained/resnet18.safetensors"]


def test_the_page_says_how_much_the_weights_take():
    raw = {"scale": "paper", "seed": 1, "rounds_per_job": 8, "sweeps": True}
    names = [path.stem for path in (ROOT / "config/studies").glob("*.yaml")]
    size = 0
    for study in load_studies(load_config(raw | {"studies": names}), ROOT / "config/studies").values():
        for cell in study.cells():
            trainings = study.trainings(cell["model"], parse_rounds(cell["rounds"]))
            size += 4 * study.architecture(cell["model"]).parameters * trainings
    assert f"about {size / 1e9:.0f} GB at paper scale" in PAGE


def test_a_deleted_result_comes_back(smoke, tmp_path):
    assert {row for name in RESULTS for row in kinds(f"smoke/{name}")} == {row for row in ROWS if row[1] == "result"}
    with without(smoke, RESULTS, tmp_path):
        result, planned = smoke.snakemake("--dry-run"), smoke.planned()
    reasons = " ".join(re.findall(r"Missing output files: ([^;\n]+)", result.stdout + result.stderr))
    assert [name for name in RESULTS if f"results/smoke/{name}" not in reasons.replace(",", "").split()] == []
    assert planned == {
        # of the sweep both; rate, disc, twin-lenet and both; siamese-resnets, and twin-lenet, whose metrics are new
        "evaluate": 1, "aggregate": 4, "errors": 2,
        # siamese-resnets' digit_pairs and hardest, twin-lenet's four, disc's but disc_points, three sweeps
        "figure": 2 + 4 + 1 + 3, "collect": 1, "overview": 1, "report": 1, "archive": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.md", {"report": 1, "archive": 1}),
        ("reproduction.parquet", {"report": 1, "archive": 1}),
        ("twinbench-smoke.zip", {"archive": 1}),
        ("history.parquet", {"collect": 1, "overview": 1, "report": 1, "archive": 1}),
        ("studies/siamese-resnets/hardest.parquet", {"errors": 1, "collect": 1, "figure": 2, "overview": 1, "report": 1, "archive": 1}),
        ("predictions/disc.parquet", {"evaluate": 1, "aggregate": 1, "figure": 2, "collect": 1, "overview": 1, "report": 1, "archive": 1}),
    ],
)  # fmt: skip
def test_what_is_made_anew_with_a_deleted_result(smoke, tmp_path, name, expected):
    with without(smoke, [name], tmp_path):
        assert smoke.planned() == expected


def test_a_deleted_intermediate_file_is_not_missed(smoke, tmp_path):
    rows = {row for name in INTERMEDIATE for row in kinds(f"smoke/{name}" if "../" not in name else name[3:])}
    kept = {path for path, kind in ROWS if kind == "intermediate"} - {path for path, _ in rows}
    assert kept == {"pretrained/resnet18.safetensors"}
    with without(smoke, INTERMEDIATE, tmp_path):
        assert smoke.planned() == {}


def test_without_weights_only_new_predictions_train(edited, tmp_path):
    folder = edited.folder / "results/smoke"
    weights = [path.relative_to(folder) for path in folder.glob("cells/disc/**/weights.safetensors")]
    with without(edited, weights, tmp_path):
        edited.edit("src/twinbench/evaluation/metrics.py", "np.logaddexp(0, ", "np.logaddexp(0.0, ")
        assert "train" not in edited.planned()
        with without(edited, ["predictions/disc.parquet"], tmp_path / "predictions"):
            assert edited.planned()["train"] == len(weights) == 3


def test_what_comes_back_is_what_was_there(smoke, tmp_path):
    project = smoke.copy(tmp_path)
    folder = project.folder / "results/smoke"
    names = ["studies/disc.width/metrics.parquet", "errors.parquet", "figures/disc/disc_points.png", "report.md"]
    before = [(folder / name).read_bytes() for name in names]
    for name in names:
        (folder / name).unlink()
    result = project.snakemake("--cores", "2")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "rule train" not in result.stderr
    assert [(folder / name).read_bytes() for name in names] == before
    assert project.planned() == {}


def test_a_partial_report_trains_nothing_without_weights(smoke, tmp_path):
    weights = [f"cells/twin-lenet/{model}/rounds-0-1/weights.safetensors" for model in ("plain", "shared")]
    with without(smoke, [f"{CELL}/record.json", *weights], tmp_path / "kept"):
        planned = smoke.planned("--rerun-triggers", "mtime", "input", partial=True)
    assert "train" not in planned
    assert planned["evaluate"] == 1

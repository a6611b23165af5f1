"""What is planned, and what reruns after which edit: dry runs on the finished smoke run."""

import pytest
import yaml

from tests.conftest import ROOT, Project

AFTER_TRAINING = {"collect": 4, "overview": 1, "report": 1, "archive": 1}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("fresh"))


def test_jobs_of_a_first_run(fresh):
    assert fresh.planned() == {
        "mnist": 1, "pairs": 2, "constant": 2, "train": 4 + 4 * 2, "evaluate": 8, "aggregate": 2, "errors": 2, "figure": 9,
        **AFTER_TRAINING,
    }  # fmt: skip


def test_jobs_with_the_residual_nets_from_random_and_from_pretrained_weights(tmp_path):
    project = Project(tmp_path, residual=True)
    planned = project.planned()
    assert (planned["train"], planned["evaluate"]) == (4 + 9 * 2, 13)
    assert project.planned(pretrained="{resnet18: download}") == planned | {"pretrained": 1}
    output = project.snakemake("--dry-run", "--until", "train").stdout
    # One round of 11 million parameters a job; the other nets are too small to matter.
    assert (output.count("mem_mb=1900"), output.count("mem_mb=1500")) == (2 * 2, 4 + 7 * 2 + 1)


def test_jobs_at_paper_scale(fresh):
    planned = fresh.planned(scale="paper")
    # twin-lenet: 4 models × 32 rounds in blocks of 8; siamese-resnets: 4 models × 8 folds × 8 rounds in blocks of 2
    assert planned["train"] == 4 * 4 + 4 * 8 * 4
    assert planned["pairs"] == 4 + 4


def test_a_second_run_does_nothing(smoke):
    assert smoke.planned() == {}


TAG = (
    "config/studies/twin-lenet.yaml",
    "    label: weight sharing\n",
    "    label: weight sharing\n    accelerator: gpu\n",
)


def test_a_gpu_model_asks_for_a_gpu(tmp_path):
    project = Project(tmp_path)
    project.edit(*TAG)
    result = project.snakemake("--dry-run")
    asked = [block for block in result.stdout.split("\n[") + result.stderr.split("\n[") if "gpu=1" in block]
    assert len(asked) == 1
    assert "study=twin-lenet, model=shared," in asked[0]


def test_asking_for_another_device_retrains_nothing(edited):
    edited.edit(*TAG)
    assert "train" not in edited.planned()


def test_more_rounds_train_only_the_new_block(edited):
    edited.edit("config/studies/siamese-resnets.yaml", "rounds: 2, folds: 2}", "rounds: 4, folds: 2}")
    planned = edited.planned()
    # Block 0-1 exists; 2-3 is new: four models, two folds.
    assert planned["train"] == 8
    assert planned["pairs"] == 1


def test_removing_a_model_retrains_nothing(edited):
    text = (edited.folder / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8")
    start, end = text.index("  mlp:\n"), text.index("  convnet:\n")
    (edited.folder / "config/studies/siamese-resnets.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    planned = edited.planned()
    assert planned == {"aggregate": 1, "errors": 1, "figure": 5, **AFTER_TRAINING}


def test_removing_a_study_trains_nothing(edited):
    assert set(edited.planned(studies="[twin-lenet]")) <= set(AFTER_TRAINING)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "src/twinbench/architectures/siamese_resnets.py", "nn.Linear(64, 32)", "nn.Linear(64, 32, bias=True)",
            {"train": 8, "evaluate": 4, "aggregate": 1, "errors": 1, "figure": 5, **AFTER_TRAINING}, id="an architecture family",
        ),
        pytest.param(
            "src/twinbench/training/loop.py", "began = time.perf_counter()", "began = 0 + time.perf_counter()",
            {"train": 12, "evaluate": 8, "aggregate": 2, "errors": 2, "figure": 9, **AFTER_TRAINING}, id="the training loop",
        ),
        pytest.param(
            "src/twinbench/evaluation/metrics.py", "posterior > 0.5", "posterior >= 0.5",
            {"aggregate": 2, "errors": 2, "figure": 9, **AFTER_TRAINING}, id="a metric",
        ),
        pytest.param(
            "src/twinbench/figures/curves.py", "COLUMNS = 4", "COLUMNS = 3",
            {"figure": 2, "report": 1, "archive": 1}, id="a figure",
        ),
        pytest.param(
            "src/twinbench/figures/digit_pairs.py", 'cmap="magma_r"', 'cmap="viridis"',
            {"figure": 2, "report": 1, "archive": 1}, id="the heat maps",
        ),
        pytest.param(
            "src/twinbench/evaluation/errors.py", "HARDEST = 12", "HARDEST = 16",
            {"errors": 2, "collect": 1, "figure": 9, "report": 1, "archive": 1}, id="how many hardest pairs",
        ),
        pytest.param(
            "config/studies/twin-lenet.yaml", "value: 0.167,", "value: 0.168,",
            {"figure": 4, "overview": 1, "report": 1, "archive": 1}, id="a published number that figures show",
        ),
        pytest.param(
            "config/studies/twin-lenet.yaml", "value: 0.031,", "value: 0.032,",
            {"report": 1, "archive": 1}, id="a published number of the table",
        ),
        pytest.param(
            "config/studies/twin-lenet.yaml", "adam, lr: 0.01}", "adam, lr: 0.02}",
            {"train": 4, "evaluate": 4, "aggregate": 1, "errors": 1, "figure": 4, **AFTER_TRAINING}, id="a study's learning rate",
        ),
        pytest.param(
            "src/twinbench/report/template.md.j2", "## Provenance", "## Origin",
            {"report": 1, "archive": 1}, id="the report's template",
        ),
        pytest.param(
            "src/twinbench/training/loop.py", '"""The one training loop:', '"""The only training loop:', {}, id="a docstring",
        ),
    ],
)  # fmt: skip
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(edited, file, old, new, expected):
    edited.edit(file, old, new)
    assert edited.planned() == expected


def test_other_pretrained_weights_retrain_only_the_models_that_start_from_them(smoke, tmp_path):
    project, file = smoke.copy(tmp_path), "config/studies/siamese-resnets.yaml"
    study, whole = (yaml.safe_load((folder / file).read_text(encoding="utf-8")) for folder in (project.folder, ROOT))
    study["models"]["mnist-resnet"] = whole["models"]["mnist-resnet"]
    (project.folder / file).write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    result = project.snakemake("--cores", "2", "--until", "train")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "train" not in (planned := project.planned())
    (project.folder / "weights.pth").touch()
    assert project.planned(pretrained="{resnet18: weights.pth}") == planned | {"pretrained": 1, "train": 2}


def test_new_modification_times_rerun_nothing(edited):
    for path in edited.folder.rglob("*"):
        if path.is_file() and path.relative_to(edited.folder).parts[0] in ("src", "config", "workflow", "resources"):
            path.touch()
    assert edited.planned() == {}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"scale": "fast"}, "config/config.yaml: scale: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
        (
            {"studies": "[mnist]"},
            "config/config.yaml: studies: unknown study 'mnist'; allowed: dense-vs-conv, parameter-budget, siamese-resnets, transfer, twin-lenet",
        ),
        (
            {"pretrained": "{resnet18: weights.pth}"},
            "config/config.yaml: pretrained.resnet18: no file 'weights.pth'; "
            "allowed: random, download, or a .pth or .safetensors file",
        ),
        (
            {"sclae": "quick"},
            "config/config.yaml: sclae: unknown key; allowed: scale, studies, seed, rounds_per_job, data, pretrained, partial, scratch, sweeps",
        ),
    ],
)
def test_a_mistake_stops_the_planning_with_one_line(fresh, config, expected):
    result = fresh.snakemake("--dry-run", **config)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert lines == [expected]


def test_an_altered_data_file_fails_by_name_and_writes_nothing(tmp_path):
    project = Project(tmp_path)
    path = project.folder / "resources/mnist/t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    result = project.snakemake("results/mnist/digits.safetensors", "--cores", "1")
    assert result.returncode != 0
    assert "t10k-labels-idx1-ubyte.gz: not a whole gzip file" in result.stderr
    assert not (project.folder / "results/mnist/digits.safetensors").exists()


def test_a_study_of_which_every_training_diverges_still_gets_its_report(smoke, tmp_path):
    project = smoke.copy(tmp_path)
    project.edit(
        "config/studies/twin-lenet.yaml", "optimizer: {name: adam, lr: 0.01}", "optimizer: {name: sgd, lr: 1e30}"
    )
    result = project.snakemake("--cores", "2", studies="[twin-lenet]")
    assert result.returncode == 0, result.stderr[-3000:]
    report = (project.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    assert report.count("training loss not finite after epoch") == 4 * 2
    assert "none, every training diverged" in report


def test_the_lock_names_no_index_and_hashes_everything():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "http" not in text
    assert "index-url" not in text
    packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all(line.endswith("\\") and "==" in line for line in packages)


def test_every_rule_has_log_and_benchmark():
    missing = []
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for block in path.read_text(encoding="utf-8").split("\nrule ")[1:]:
            missing += [
                (block.split(":")[0], key) for key in ("log:", "benchmark:", "script:") if f"    {key}" not in block
            ]
    assert missing == []

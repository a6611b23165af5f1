"""Dry runs on the finished smoke run: the planned jobs, and the jobs that each edit reruns."""

import re

import pytest
import yaml

from tests.conftest import BOTH, PAIRS, RATE, ROOT, SWEEPS, Project
from tests.unit.small_dataset import make
from twinbench.data.dataset import datasets

REPORT = {"report": 1, "archive": 1}
# What follows from new results of a study: the tables of all studies, which one job makes, and what shows them.
COLLECTED = {"collect": 1, "overview": 1, **REPORT}
ONE_SETTING = {"train": 1, "evaluate": 1, "aggregate": 1, "figure": 1, **COLLECTED}
SCRATCH = {"train": 3 + 2, "evaluate": 2, "aggregate": 2, "figure": 2 + 1, **COLLECTED}
TWIN, DISC = "config/studies/twin-lenet.yaml", "config/studies/disc.yaml"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("fresh"))


def test_jobs_of_a_first_run(fresh):
    assert fresh.planned() == {
        # twin-lenet and its three sweeps of two settings, siamese-resnets as described and as run, disc and its sweep of
        # two widths
        "images": 1, "draw": 7, "train": 6 + 3 * 2 + 4 * 2 + 3 + 2, "evaluate": 7, "aggregate": 7, "errors": 2,
        "figure": 4 + 3 + 5 + 2 + 1, **COLLECTED,
    }  # fmt: skip


def test_jobs_with_the_residual_nets_from_random_and_from_pretrained_weights(tmp_path):
    project, run = Project(tmp_path, whole=True), {"studies": "[siamese-resnets]", "sweeps": False}
    planned = project.planned(**run)
    # four residual models of one round, and siamese-resnets' others, as described and as run
    assert (planned["train"], planned["evaluate"]) == (4 * 2 + 17, 1)
    assert project.planned(**run, pretrained="{resnet18: download}") == planned | {"pretrained": 1}
    output = project.snakemake("--dry-run", "--until", "train", **run, scale="paper").stdout
    # Three models have 11 million parameters. A job of theirs trains all eight folds of the first round, or the last
    # fold of each of the four others.
    assert [output.count(f"mem_mb={mb}") for mb in (4700, 1900)] == [3, 3 * 4]


def test_jobs_at_paper_scale(fresh):
    planned = fresh.planned(scale="paper")
    # twin-lenet: 6 models and 6 settings × 32 rounds in blocks of 8; siamese-resnets: 4 models, as described and as run,
    # × 8 rounds in blocks of 2; disc: 3 models and 8 widths × 10 rounds in blocks of 8
    assert planned["train"] == (6 + 6) * 4 + 4 * 2 * 4 + (3 + 8) * 2
    assert planned["draw"] == 4 * 4 + 4 + 2 * 2


def test_a_second_run_does_nothing(smoke):
    assert smoke.planned() == {}


TAG = (
    TWIN,
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
    assert edited.planned() == REPORT  # which shows the configuration


def test_more_rounds_train_only_the_new_block(edited):
    edited.edit("config/studies/siamese-resnets.yaml", "rounds: 2, folds: 2}", "rounds: 4, folds: 2}")
    planned = edited.planned()
    # Block 0-1 exists; 2-3 is new: four models, as described and as run.
    assert planned["train"] == 8
    assert planned["draw"] == 1


def test_removing_a_model_retrains_nothing(edited):
    text = (edited.folder / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8")
    start, end = text.index("  mlp:\n"), text.index("  convnet:\n")
    (edited.folder / "config/studies/siamese-resnets.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    planned = edited.planned()
    assert planned == {"evaluate": 1, "aggregate": 1, "errors": 1, "figure": 5, **COLLECTED}


def test_removing_a_study_trains_nothing(edited):
    assert edited.planned(studies="[twin-lenet]") == COLLECTED


def test_adding_a_study_adds_its_jobs_and_retrains_nothing(edited):
    # five models, three of them as run too; two rounds make one block
    assert edited.planned(studies="[twin-lenet,siamese-resnets,disc,parameter-budget]") == {
        "draw": 1, "train": 8, "evaluate": 1, "aggregate": 1, "errors": 1, "figure": 4, **COLLECTED,
    }  # fmt: skip


def test_switching_the_sweeps_off_trains_nothing(edited):
    assert edited.planned(sweeps=False) == COLLECTED


def test_edits_of_a_sweep_rerun_what_depends_on_them(edited):
    more = RATE | {"axes": {"training.optimizer.lr": [0.03, 0.1, 1e30]}}
    edited.edit(TWIN, "values: 2}", "values: 3}")
    edited.sweep(SWEEPS | {"rate": more})
    assert edited.planned() == ONE_SETTING
    edited.sweep(SWEEPS | {"rate": RATE | {"title": "Rate", "published": {"conclusion": "It is."}}})
    assert edited.planned() == {"figure": 1, **REPORT}  # the figure marks the published best
    edited.sweep(SWEEPS | {"rate": RATE | {"title": "Rate", "published": RATE["published"] | {"conclusion": "It is."}}})
    assert edited.planned() == REPORT
    edited.sweep({"both": BOTH, "pairs": PAIRS})
    assert edited.planned() == COLLECTED


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "src/twinbench/architectures/siamese_resnets.py", "nn.Linear(64, 32)", "nn.Linear(64, 32, bias=True)",
            {"train": 8, "evaluate": 1, "aggregate": 1, "errors": 1, "figure": 5, **COLLECTED}, id="an architecture family",
        ),
        pytest.param(
            "src/twinbench/scratch/modules.py", "gradient.sum(0)", "gradient.sum(dim=0)", SCRATCH, id="our own framework",
        ),
        pytest.param(
            "src/twinbench/tasks/disc.py", "CENTRE, RADIUS = 0.5,", "CENTRE, RADIUS = 0.5 + 0,", SCRATCH | {"draw": 2},
            id="the task of the disc",
        ),
        pytest.param(
            "src/twinbench/training/scratch.py", "ordered.inputs.flatten(1)", "ordered.inputs.flatten(start_dim=1)",
            SCRATCH, id="the training of our own framework",
        ),
        pytest.param(
            "src/twinbench/training/loop.py", "evaluating = time.perf_counter()", "evaluating = 0 + time.perf_counter()",
            {"train": 25, "evaluate": 7, "aggregate": 7, "errors": 2, "figure": 15, **COLLECTED}, id="the training loop",
        ),
        pytest.param(
            "src/twinbench/evaluation/metrics.py", "np.logaddexp(0, ", "np.logaddexp(0.0, ",
            # all figures but the one that draws predictions
            {"aggregate": 7, "errors": 2, "figure": 14, **COLLECTED}, id="a metric",
        ),
        pytest.param(
            "src/twinbench/figures/curves.py", "COLUMNS = 4", "COLUMNS = 3", {"figure": 2, **REPORT}, id="a figure",
        ),
        pytest.param(
            "src/twinbench/figures/digit_pairs.py", 'cmap="magma_r"', 'cmap="viridis"', {"figure": 2, **REPORT},
            id="the heat maps",
        ),
        pytest.param(
            "src/twinbench/figures/disc_curves.py", "new_figure(8,", "new_figure(9,", {"figure": 1, **REPORT},
            id="a figure of the disc",
        ),
        pytest.param(
            "src/twinbench/figures/overview.py", '"""Test accuracy of', '"""Accuracy of', {"overview": 1, **REPORT}, id="a caption",
        ),
        pytest.param(
            "src/twinbench/evaluation/errors.py", "HARDEST = 12", "HARDEST = 16",
            {"errors": 2, "figure": 4, **COLLECTED}, id="how many hardest pairs",
        ),
        pytest.param(
            TWIN, "value: 0.167,", "value: 0.168,", {"figure": 4, "overview": 1, **REPORT},
            id="a published number that figures show",
        ),
        pytest.param(TWIN, "value: 0.031,", "value: 0.032,", REPORT, id="a published number of the table"),
        pytest.param(
            DISC, "{metric: error, split: train, value: 0.03}", "{metric: error, split: train, value: 0.04}", REPORT,
            id="a published number of the disc's table",
        ),
        pytest.param(DISC, "label: 2×128, Tanh\n", "label: Tanh\n", {"figure": 2, **REPORT}, id="a label"),
        pytest.param(
            TWIN, "adam, lr: 0.01}", "adam, lr: 0.02}",
            # the study's models but one, which has its own, and its two sweeps that do not vary the learning rate
            {"train": 5 + 2 * 2, "evaluate": 3, "aggregate": 3, "errors": 1, "figure": 4 + 2, **COLLECTED},
            id="a study's learning rate",
        ),
        pytest.param(
            DISC, "training: {scaling: raw}", "training: {scaling: raw, optimizer: {lr: 0.01}}",
            ONE_SETTING | {"figure": 2}, id="one model's learning rate",
        ),
        pytest.param(DISC, "sweeps: {values: 2}", "sweeps: {values: 3}", ONE_SETTING, id="one width more"),
        pytest.param("src/twinbench/report/template.md.j2", "## Provenance", "## Origin", REPORT, id="the report's template"),
        pytest.param("src/twinbench/provenance.py", '("numpy", ', '("grimp", "numpy", ', REPORT, id="a package that is noted"),
        pytest.param("src/twinbench/gpu_slots.py", "poll: float = 1.0", "poll: float = 5.0", {}, id="a lock's poll interval"),
        pytest.param("src/twinbench/training/cell.py", "are over the study's", "exceed the study's", {}, id="the text of a raise"),
        pytest.param("src/twinbench/training/loop.py", "resumed after epoch", "went on after epoch", {}, id="the text of a log call"),
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
            "config/config.yaml: studies: unknown study 'mnist'; allowed: dense-vs-conv, disc, parameter-budget, siamese-resnets, transfer, twin-lenet",
        ),
        (
            {"pretrained": "{resnet18: weights.pth}"},
            "config/config.yaml: pretrained.resnet18: no file 'weights.pth'; "
            "allowed: random, download, or a .pth or .safetensors file",
        ),
        (
            {"sclae": "quick"},
            "config/config.yaml: sclae: unknown key; allowed: scale, studies, seed, rounds_per_job, data, pretrained, partial, sweeps",
        ),
    ],
)
def test_a_mistake_stops_the_planning_with_one_line(fresh, config, expected):
    result = fresh.snakemake("--dry-run", **config)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert lines == [expected]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (DISC, "base: relu", "base: gelu", f"{DISC}: sweeps.width.base: unknown model 'gelu'; allowed: relu, tanh, tanh-raw"),
        (
            TWIN, "options.activation", "options.rate",
            f"{TWIN}: sweeps.both.axes.options.rate: unknown key; allowed: shared, activation, dropout",
        ),
        (DISC, "[disc_points,", "[hardest, disc_points,", f"{DISC}: figures: unknown figure 'hardest'; "
         "allowed: curves, disc_curves, disc_points, folds, rounds"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_study_stops_the_planning_with_one_line(edited, file, old, new, expected):
    edited.edit(file, old, new)
    result = edited.snakemake("--dry-run")
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert lines == [expected]


def test_an_altered_data_file_fails_by_name_and_writes_nothing(tmp_path):
    project = Project(tmp_path)
    path = project.folder / "resources/mnist/t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    result = project.snakemake("results/images/mnist.safetensors", "--cores", "1")
    assert result.returncode != 0
    assert "t10k-labels-idx1-ubyte.gz: not a whole gzip file" in result.stderr
    assert not (project.folder / "results/images/mnist.safetensors").exists()


def test_naming_the_data_set_that_is_the_default_reruns_nothing(smoke):
    assert smoke.planned(data="{dataset: mnist}") == {}


def test_another_data_set_has_its_own_results_and_its_files_are_verified(tmp_path):
    """The files are made up, so their checksums are wrong."""
    project = Project(tmp_path)
    text = (project.folder / TWIN).read_text(encoding="utf-8")
    own = project.folder / "config/studies/own.yaml"
    own.write_text(re.sub(r"\ndataset: mnist.*\n", "\n", text), encoding="utf-8")
    declared = make(project.folder / "fashion", "MD5 of the .gz")
    run = {"data": "{dataset: fashion-mnist, source: fashion}", "studies": "[own,disc]"}

    refused = project.snakemake("--dry-run", **run | {"studies": "[twin-lenet]"})
    assert refused.stderr.splitlines()[1:] == [
        "config/config.yaml: data.dataset: fashion-mnist is not what twin-lenet is about; "
        "allowed: mnist, or studies without a dataset of their own"
    ]
    planned = project.snakemake("--dry-run", **run).stdout
    outputs = re.findall(r"^ +output: (.+)$", planned, re.MULTILINE)
    paths = {path for line in outputs for path in line.split(", ")}
    assert {path.split("/")[1] for path in paths} == {"images", "smoke-fashion-mnist"}
    assert "results/images/fashion-mnist.safetensors" in paths

    result = project.snakemake("--cores", "1", "--until", "images", **run)
    assert result.returncode != 0
    assert "rule images:" in result.stderr
    name = next(iter(declared.checksums))
    found, expected = declared.checksums[name], datasets()["fashion-mnist"].checksums[name]
    line = f"fashion/{name}.gz: truncated or altered; MD5 {found}, expected {expected}"
    assert sum(line in said for said in result.stderr.splitlines()) == 1
    assert not (project.folder / "results/images/fashion-mnist.safetensors").exists()


def test_a_study_of_which_every_training_diverges_still_gets_its_report(smoke, tmp_path):
    project = smoke.copy(tmp_path)
    project.edit(TWIN, "optimizer: {name: adam, lr: 0.01}", "optimizer: {name: sgd, lr: 1e30}")
    project.edit(TWIN, "{optimizer: {lr: 0.001}, scaling", "{optimizer: {lr: 1e30}, scaling")  # one model's own
    result = project.snakemake("--cores", "2", studies="[twin-lenet]", sweeps=False)
    assert result.returncode == 0, result.stderr[-3000:]
    report = (project.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    assert report.count("not finite after epoch") == 6 * 2
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

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from safetensors.numpy import save_file

from tests import forked

ROOT = Path(__file__).parent.parent


def put(tree: dict, path: str, value: object) -> dict:
    """Return a copy of ``tree`` with ``value`` at a dotted path; None removes the key."""
    changed = copy.deepcopy(tree)
    *parents, last = path.split(".")
    node = changed
    for key in parents:
        node = node.setdefault(key, {})
    if value is None:
        del node[last]
    else:
        node[last] = value
    return changed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests, which run the workflow, before the short ones, so that no process waits for them at the end."""
    items.sort(key=lambda item: item.path.parent.name == "unit")


@pytest.fixture(scope="session")
def labels() -> dict[str, np.ndarray]:
    """Digit classes in MNIST's proportions, without MNIST: 60,000 and 10,000 uniform digits."""
    rng = np.random.default_rng(0)
    return {part: rng.integers(0, 10, size, dtype=np.uint8) for part, size in (("train", 60_000), ("test", 10_000))}


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory, labels) -> Path:
    """A pooled-digits file of made-up images in which a digit's class is easy to see: its row is brighter."""
    rng = np.random.default_rng(1)
    tensors = {}
    for part, digits in labels.items():
        images = rng.uniform(0, 50, (len(digits), 14, 14)).astype(np.float32)
        images[np.arange(len(digits)), digits + 2] += 150
        tensors |= {f"{part}_images": images, f"{part}_labels": digits}
    path = tmp_path_factory.mktemp("digits") / "digits.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)  # training switches it on for its process; hypothesis wants it off


# Three studies stand for all: one has sweeps, one has folds, one is of another task. test_all_studies.py runs the rest.
DEFAULTS = {"scale": "smoke", "sweeps": True, "studies": "[twin-lenet,siamese-resnets,disc]"}
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


class Project:
    """A copy of the project in a folder of its own, which runs its own package.

    Unless it is ``whole``, siamese-resnets lacks its residual and transposed nets, and twin-lenet has the small `SWEEPS`.
    """

    def __init__(self, folder: Path, whole: bool = False):
        self.folder = folder
        tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in tracked.stdout.splitlines():
            if (ROOT / name).exists() and not name.startswith(("tests/", "docs/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

        if not whole:
            study = folder / "config/studies/siamese-resnets.yaml"
            text = study.read_text(encoding="utf-8")
            start, end = text.index("  conv-resnet:\n"), text.index("\n# Where the report is silent")
            changed = (text[:start] + text[end:]).replace("rounds_per_job: 8", "rounds_per_job: 2")
            study.write_text(changed, encoding="utf-8")
            self.sweep(SWEEPS)

    def sweep(self, sweeps: dict[str, dict]) -> None:
        """Give twin-lenet these sweeps instead of those that it has."""
        study = self.folder / "config/studies/twin-lenet.yaml"
        text = study.read_text(encoding="utf-8")
        start, end = text.index("\nsweeps:\n"), text.index("\n# Where the report is silent")
        section = yaml.safe_dump({"sweeps": sweeps}, sort_keys=False)
        study.write_text(f"{text[:start]}\n{section}{text[end:]}", encoding="utf-8")

    def snakemake(self, *arguments: str, **config: object) -> subprocess.CompletedProcess:
        """Run Snakemake here with `DEFAULTS`, unless ``config`` says otherwise."""
        settings = [f"{key}={value}" for key, value in (DEFAULTS | config).items()]
        return forked.snakemake(self.folder, *arguments, "--config", *settings)

    def report(self, *arguments: str, **config: object) -> subprocess.Popen:
        """Start what `make report` runs, with `DEFAULTS`, in a process group of its own."""
        settings = [f"{key}={value}" for key, value in (DEFAULTS | config).items()]
        return subprocess.Popen(
            [sys.executable, "workflow/run.py", "--cores", "2", "--logger", "progress", *arguments, "--config", *settings],
            cwd=self.folder, env=os.environ | {"PYTHONPATH": str(self.folder / "src")}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    @classmethod
    def of(cls, folder: Path) -> "Project":
        """Return the project that a folder holds already."""
        project = cls.__new__(cls)
        project.folder = folder
        return project

    def copy(self, folder: Path) -> "Project":
        """Return a copy of everything, results and Snakemake's notes included."""
        return Project.of(shutil.copytree(self.folder, folder / "project", symlinks=True))

    def planned(self, *arguments: str, **config: object) -> dict[str, int]:
        """Return how many jobs of each rule a run would do now, `default` and the total left out."""
        result = self.snakemake("--dry-run", *arguments, **config)
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines() + result.stderr.splitlines()
        if "Job stats:" not in lines:
            assert any("Nothing to be done" in line for line in lines), result.stderr
            return {}
        start = lines.index("Job stats:") + 3
        counts = dict(line.split() for line in lines[start : lines.index("", start)])
        return {rule: int(count) for rule, count in counts.items() if rule not in ("default", "total")}

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the only occurrence of ``old`` in a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, worker_id) -> Project:
    """The whole workflow at smoke scale on real MNIST: run once, and copied for each process that runs tests."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with FileLock(shared / "smoke.lock"):
        if not (shared / "smoke").exists():
            unfinished = shared / "unfinished"
            unfinished.mkdir(exist_ok=True)
            project = Project(unfinished)
            result = project.snakemake("--cores", "2")
            assert result.returncode == 0, result.stderr[-3000:]
            unfinished.rename(shared / "smoke")
    return Project.of(shared / "smoke").copy(tmp_path_factory.mktemp("smoke"))


@pytest.fixture
def edited(smoke):
    """The finished smoke run, whose sources a test may edit; they are put back afterwards."""
    kept = {
        path: path.read_bytes()
        for path in smoke.folder.rglob("*")
        if path.is_file() and path.relative_to(smoke.folder).parts[0] in ("src", "config", "workflow", "Snakefile")
    }
    yield smoke
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)

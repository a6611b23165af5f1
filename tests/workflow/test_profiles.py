"""Profiles: what they plan, and that each of their lines says why it is there."""

import re
from collections import Counter

import pytest

from tests.conftest import RATE, ROOT, Project

PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))


def test_every_profile_is_tested():
    assert PROFILES == ["default", "gpu", "slurm"]


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("profiles/*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_line_has_a_comment(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    bare = [line for line in lines if "#" not in line and line != "partitions:"]
    assert bare == []


def test_every_profile_reruns_for_the_same_reasons():
    kept = (
        "keep-going",
        "max-jobs-per-timespan",
        "rerun-incomplete",
        "rerun-triggers",
        "max-checksum-file-size",
        "show-failed-logs",
    )
    settings = {
        profile: [
            line
            for line in (ROOT / f"profiles/{profile}/config.yaml").read_text(encoding="utf-8").splitlines()
            if line.startswith(kept)
        ]
        for profile in PROFILES
    }
    assert len(settings["default"]) == len(kept)
    assert settings["gpu"] == settings["slurm"] == settings["default"]


@pytest.mark.parametrize(("profile", "blocks"), [("default", 4), ("gpu", 4), ("slurm", 1)])
def test_jobs_at_paper_scale(tmp_path, profile, blocks):
    """The scale of the command line and the profile's block size hold together."""
    if profile == "slurm":
        pytest.importorskip("snakemake_executor_plugin_slurm", reason="snakemake-executor-plugin-slurm is missing")
    project = Project(tmp_path)
    result = project.snakemake(
        "--dry-run",
        "--quiet",
        "rules",
        "--workflow-profile",
        f"profiles/{profile}",
        scale="paper",
        studies="[twin-lenet]",
        sweeps=False,
    )
    assert result.returncode == 0, result.stderr
    counts = [line.split() for line in (result.stdout + result.stderr).splitlines()]
    assert ["train", str(6 * blocks)] in counts  # of 6 models


def test_under_slurm_tables_and_figures_share_jobs_and_nothing_else_does(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="snakemake-executor-plugin-slurm is missing")
    project = Project(tmp_path)
    project.sweep({"rate": RATE})
    result = project.snakemake("--dry-run", "--workflow-profile", "profiles/slurm", studies="[twin-lenet]")
    assert result.returncode == 0, result.stderr
    jobs, group = {}, None
    for line in (result.stdout + result.stderr).splitlines():
        if match := re.search(r"Group job (\S+) \(", line):
            group = match[1]
        elif match := re.fullmatch(r"( *)rule (\w+):", line):
            jobs.setdefault(group if match[1] else None, Counter())[match[2]] += 1
    assert jobs.pop(None).keys() - {"default"} == {"images", "draw", "train", "evaluate"}
    assert jobs.pop("report") == {"collect": 1, "overview": 1, "report": 1, "archive": 1}
    assert jobs.pop("twin-lenet") == {"aggregate": 1, "errors": 1, "figure": 4}
    assert jobs.pop("twin-lenet.rate") == {"aggregate": 1, "figure": 1}
    assert not jobs

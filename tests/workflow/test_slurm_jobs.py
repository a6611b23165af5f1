"""`make report` beside jobs that Slurm still has: a squeue that is made up, so that no Slurm is needed."""

import os
import subprocess
import sys

import pytest

from tests.conftest import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("slurm-jobs"))


@pytest.mark.parametrize(
    ("name", "here", "refused"),
    [("twinbench_1b6cf2c0", True, True), ("twinbench_1b6cf2c0", False, False), ("other", True, False)],
    ids=["a run of this folder", "a run of another folder", "a job of something else"],
)
def test_jobs_of_a_killed_run_stop_the_next(project, tmp_path, name, here, refused):
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\necho '{name}|{project.folder if here else tmp_path}'\n", encoding="utf-8")
    squeue.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(project.folder / "src")}
    result = subprocess.run(
        [sys.executable, "workflow/run.py", "--version"],
        cwd=project.folder, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode != 0) == refused
    assert (f"scancel --name={name}" in result.stderr) == refused

"""The Slurm profile on a real Slurm: a run that is killed, its orphans, and a rerun with the numbers of a run in one job."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.conftest import Project
from tests.slurm.cluster import Cluster, NoSlurm, jobs, run, wait

pytestmark = pytest.mark.slurm
GPU_MODEL = "shared"
CONFIG = ["--config", "scale=smoke", "studies=[twin-lenet]", "sweeps=false"]
PROFILE = ["--workflow-profile", "profiles/slurm"]


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="snakemake-executor-plugin-slurm is not installed")
    slurm = Cluster()
    try:
        slurm.start()
    except NoSlurm as reason:
        pytest.skip(str(reason))
    yield slurm
    slurm.stop()


def project(folder: Path) -> Project:
    """Return a copy of the project in which one model asks for a GPU."""
    folder.mkdir()
    copy = Project(folder)
    copy.edit(
        "config/studies/twin-lenet.yaml", "    label: weight sharing\n",
        "    label: weight sharing\n    accelerator: gpu\n",
    )  # fmt: skip
    return copy


def make_report(copy: Project) -> tuple[int, str]:
    """Do what `make report PROFILE=slurm` does; return its exit status and what it says."""
    log = copy.folder / "report.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "workflow/run.py", "--logger", "progress", *PROFILE, *CONFIG],
            cwd=copy.folder, env=environment(copy), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        return process.wait(600), log.read_text()
    finally:  # late, or interrupted: Snakemake is a child
        for one in [*psutil.Process(process.pid).children(recursive=True), process] if process.poll() is None else []:
            one.kill()


def in_one_job(copy: Project) -> Project:
    """Do a whole run in one Slurm job, as docs/slurm.md has it."""
    command = f"{sys.executable} workflow/run.py --cores 2 {shlex.join(CONFIG)}"
    result = subprocess.run(
        ["sbatch", "--wait", "--cpus-per-task=2", "--output=one-job.log", "--wrap", command],
        cwd=copy.folder, env=environment(copy), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr + (copy.folder / "one-job.log").read_text()[-3000:]
    return copy


def environment(copy: Project) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(copy.folder / "src")}


def start_and_kill(copy: Project) -> str:
    """Kill Snakemake with SIGKILL while Slurm trains for it; return its run id."""
    log = copy.folder / "killed.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *PROFILE, *CONFIG],
            cwd=copy.folder, env=environment(copy), stdout=output, stderr=output,
        )  # fmt: skip

    def trains() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return sum(job["comment"].startswith("rule_train") for job in jobs("PENDING,RUNNING")) >= 2

    try:
        wait(trains, 120, "no training began")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return re.search(r"SLURM run ID: (\S+)", log.read_text()).group(1)


def test_killed_run_is_finished_with_the_numbers_of_a_local_one(cluster, tmp_path):
    # A GPU job sees the GPUs that Slurm gave it.
    assert run("srun", "--partition=gpu", "--gpus=1", "printenv", "CUDA_VISIBLE_DEVICES").strip() == "0"

    remote = project(tmp_path / "slurm")
    run_id = start_and_kill(remote)
    assert run_id.startswith("twinbench_")

    # The jobs live on, and a rerun neither adopts them nor runs beside them: it says what to do.
    refused, said = make_report(remote)
    orphans = jobs("PENDING,RUNNING")
    assert orphans
    assert {job["name"] for job in orphans} == {run_id}
    assert refused != 0
    assert f"scancel --name={run_id}" in said
    assert not (remote.folder / "results/smoke/metrics.parquet").exists()

    run("scancel", f"--name={run_id}")
    wait(lambda: not jobs("PENDING,RUNNING,COMPLETING"), 60, "jobs outlive scancel")
    assert list((remote.folder / ".snakemake/locks").glob("*.lock"))

    finished, said = make_report(remote)
    assert finished == 0, said[-3000:]
    assert "cleared the lock" in said
    assert (remote.folder / "results/smoke/report.md").exists()

    completed = [job for job in jobs("COMPLETED") if job["name"].startswith("twinbench_")]
    partitions = {job["comment"]: job["partition"] for job in completed}
    on_gpu = [comment for comment, partition in partitions.items() if partition == "gpu"]
    assert on_gpu == [f"rule_train_wildcards_twin-lenet_{GPU_MODEL}_0-1"]
    # The images, pairs and predictions, and every training, have jobs of their own; the rest shares two.
    tables, report = "rule_twin-lenet_aggregate_errors_figure", "rule_report_archive_collect_overview_report"
    alone = [comment for comment in partitions if comment not in (tables, report)]
    trainings = [comment for comment in alone if comment.startswith("rule_train_wildcards_twin-lenet_")]
    assert len(trainings) == pd.read_parquet(remote.folder / "results/smoke/cells.parquet")["model"].nunique()
    assert len(alone) == 3 + len(trainings)
    assert set(partitions) == {tables, report, *alone}
    assert set(partitions.values()) == {"cpu", "gpu"}
    described = run("scontrol", "show", "job", "--oneliner").splitlines()
    trained = [line for line in described if f"Comment={on_gpu[0]} " in line and "JobState=COMPLETED" in line]
    assert len(trained) == 1
    assert re.search(r"TresPer(Job|Node)=gres[:/]gpu[:=]1", trained[0])

    # One CPU and the memory of one for jobs that run one by one, and the minutes of all: 10 for each.
    for comment, minutes in ((tables, "01:00:00"), (report, "00:40:00")):
        [shared] = [line for line in described if f"Comment={comment} " in line and "JobState=COMPLETED" in line]
        assert "NumCPUs=1 " in shared
        assert "MinMemoryNode=1500M" in shared
        assert f"TimeLimit={minutes} " in shared

    local = in_one_job(project(tmp_path / "local"))
    ours, theirs = (pd.read_parquet(copy.folder / "results/smoke/metrics.parquet") for copy in (remote, local))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

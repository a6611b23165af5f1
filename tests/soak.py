"""Kill the workflow and its jobs at random moments, many times; every number must come out as in an undisturbed run.

Run by `make soak`, bounded in kills and minutes. Prints its figures as Markdown; docs/reliability.md holds those of one run.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil

from tests.conftest import Project

TIMINGS = ["seconds", "train_seconds", "data_seconds", "evaluate_seconds"]
KINDS = ["workflow", "workflow and jobs", "one job"]


def make_project(folder: Path) -> Project:
    """Return a project whose trainings write a checkpoint after every epoch, so that kills hit those as well."""
    folder.mkdir()
    project = Project(folder)
    project.edit("src/twinbench/training/checkpoint.py", "interval: float = 60.0", "interval: float = 0.0")
    return project


def tables(project: Project) -> dict[str, pd.DataFrame]:
    """Return every Parquet table of the smoke results without its timings, by path."""
    results = project.folder / "results/smoke"
    return {
        str(path.relative_to(results)): pd.read_parquet(path).drop(columns=TIMINGS, errors="ignore")
        for path in sorted(results.rglob("*.parquet"))
    }


def differences(project: Project, expected: dict[str, pd.DataFrame]) -> list[str]:
    """Return the paths whose tables are missing, new or different in any value."""
    found = tables(project)
    return [path for path in expected.keys() | found.keys() if path not in found or path not in expected or not found[path].equals(expected[path])]  # fmt: skip


def kill(kind: str, run: psutil.Process, rng: random.Random) -> bool:
    """Send SIGKILL to what ``kind`` names; return whether there was anything to kill."""
    try:
        below = run.children(recursive=True)
        jobs = [process for process in below if any(".snakemake/scripts" in word for word in process.cmdline())]
        workflow = [run, *(process for process in below if process not in jobs)]
        victims = {
            "workflow": workflow,
            "workflow and jobs": workflow + jobs,
            "one job": rng.sample(jobs, min(1, len(jobs))),
        }
        for process in victims[kind]:
            process.kill()
        return bool(victims[kind])
    except psutil.NoSuchProcess:
        return False


def soak(kills: int, minutes: float, seed: int) -> str:
    """Kill at least ``kills`` times, unless ``minutes`` are over first; return the figures as Markdown."""
    rng = random.Random(seed)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="twinbench-soak-"))
    reference, project = make_project(folder / "reference"), make_project(folder / "killed")
    result = reference.snakemake("--cores", "2")
    assert result.returncode == 0, result.stderr[-3000:]
    expected = tables(reference)

    done, finished, different, resumed = Counter(), 0, [], 0
    while True:
        run = project.report()
        enough = done.total() >= kills or time.monotonic() - began > 60 * minutes
        output = ""
        if not enough:
            time.sleep(rng.uniform(1, 8))
            kind = rng.choice(KINDS)
            if run.poll() is None and kill(kind, psutil.Process(run.pid), rng):
                done[kind] += 1
        output = run.communicate()[0]
        logs = (project.folder / "results/smoke/logs/train").rglob("*.log")
        resumed += sum("resumed after epoch" in log.read_text(encoding="utf-8", errors="replace") for log in logs)
        if run.returncode == 0:
            finished += 1
            different += differences(project, expected)
            if enough:
                break
            shutil.rmtree(project.folder / "results/smoke")  # finished before the kills were: once more from the start
        elif enough:
            raise AssertionError(f"an undisturbed run failed after the kills:\n{output[-3000:]}")
    shutil.rmtree(folder)
    rows = [f"| kills of {kind} | {done[kind]} |" for kind in KINDS]
    rows += [
        f"| kills in all | {done.total()} |",
        f"| runs that came to the end | {finished} |",
        f"| Parquet tables compared after each | {len(expected)} |",
        f"| tables with a value that differs from the undisturbed run's, timings aside | {len(different)} |",
        f"| logs of resumed trainings seen | {resumed} |",
        f"| minutes | {(time.monotonic() - began) / 60:.1f} |",
    ]
    assert not different, f"lost or changed: {different}"
    return "\n".join(["| | |", "| --- | --- |", *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    print(soak(**vars(parser.parse_args())))

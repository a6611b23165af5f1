"""Kills, damaged files and failing jobs: nothing half-written is taken for whole, and the same command finishes the work."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields

import pandas as pd
import psutil
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from twinbench.training.record import Record

TWIN, OTHERS = {"studies": "[twin-lenet]", "sweeps": False}, {"studies": "[siamese-resnets,disc]"}


@pytest.fixture
def finished(smoke, tmp_path):
    """A copy of the finished smoke run that a test may damage."""
    return smoke.copy(tmp_path)


def metrics(project):
    return pd.read_parquet(project.folder / "results/smoke/metrics.parquet")


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def processes_in(project, word):
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.folder) and any(word in part for part in process.cmdline()):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def snakemake_of(project):
    return [process for process in processes_in(project, "snakemake") if "run.py" not in " ".join(process.cmdline())]


def test_a_killed_workflow_is_finished_by_the_same_command(finished, smoke):
    """kill -9 while jobs train: they are orphans then, the lock is stale, and outputs may be half-written."""
    for path in (finished.folder / "results/smoke/cells/twin-lenet").rglob("record.json"):
        path.unlink()
    run = finished.report(**TWIN)
    wait_for(lambda: processes_in(finished, ".snakemake/scripts"))
    for process in snakemake_of(finished):
        if ".snakemake/scripts" not in " ".join(process.cmdline()):
            process.kill()
    run.communicate()
    assert list((finished.folder / ".snakemake/locks").glob("*")), "no lock was left: the test tests nothing"
    assert finished.snakemake("--cores", "1", **TWIN).returncode != 0, "Snakemake itself refuses a locked folder"

    again = finished.report(**TWIN)
    output = again.communicate(timeout=300)[0]
    assert again.returncode == 0, output[-3000:]
    assert "cleared the lock of a run that is gone" in output
    assert processes_in(finished, ".snakemake/scripts") == []
    expected = metrics(smoke).query("study == 'twin-lenet'").reset_index(drop=True)
    pd.testing.assert_frame_equal(metrics(finished), expected, check_exact=True)


def test_a_second_run_beside_a_living_one_is_refused(finished):
    (finished.folder / "results/smoke/cells/twin-lenet/plain/rounds-0-1/record.json").unlink()
    first = finished.report(**TWIN)
    wait_for(lambda: list((finished.folder / ".snakemake/locks").glob("*")))
    second = finished.report(**TWIN)
    output = second.communicate(timeout=60)[0]
    assert second.returncode != 0
    assert re.fullmatch(
        r"Snakemake already runs in this folder \(process \d+\): wait for it or stop it, then try again\n", output
    )
    assert re.search(r"  (\d+) of \1 jobs done\nFull log: ", first.communicate(timeout=300)[0])


@pytest.mark.parametrize(
    ("ending", "said"), [(signal.SIGTERM, "Will exit after finishing"), (signal.SIGINT, "Terminating processes")]
)
def test_a_signal_ends_the_jobs_too(finished, ending, said):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and their children
    (finished.folder / "results/smoke/cells/twin-lenet/plain/rounds-0-1/record.json").unlink()
    run = finished.report(**TWIN)
    wait_for(lambda: processes_in(finished, ".snakemake/scripts"))
    os.kill(run.pid, ending)
    output = run.communicate(timeout=60)[0]
    assert output.count(said) == 1
    assert "Traceback" not in output
    wait_for(lambda: processes_in(finished, ".snakemake/scripts") == [])
    again = finished.report(**TWIN)
    assert len(re.findall(r"  (\d+) of \1 jobs done\n", again.communicate(timeout=300)[0])) == 1
    assert finished.planned(**TWIN) == {}


CELL = "cells/twin-lenet/plain/rounds-0-1"


@pytest.mark.parametrize(
    ("victim", "damage", "target", "reader"),
    [
        ("examples/twin-lenet/rounds-0-1.parquet", "cut", f"{CELL}/weights.safetensors", "train"),
        (f"{CELL}/weights.safetensors", "garbage", "predictions/twin-lenet.parquet", "evaluate"),
        ("predictions/twin-lenet.parquet", "cut", "studies/twin-lenet/metrics.parquet", "aggregate"),
    ],
)  # either damage of either kind of file: tests/unit/test_files.py
def test_a_file_damaged_between_runs_is_named_and_its_reader_fails(finished, victim, damage, target, reader):
    path = finished.folder / "results/smoke" / victim
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\x00garbage" * 100)
    result = finished.snakemake(f"results/smoke/{target}", "--cores", "2", **TWIN)
    assert result.returncode != 0
    assert f"results/smoke/{victim}: not a whole" in result.stderr
    assert f"rule {reader}:" in result.stderr
    assert not (finished.folder / "results/smoke" / target).exists(), "something was made of a damaged file"
    # What the message says to do works.
    path.unlink()
    assert finished.snakemake(f"results/smoke/{target}", "--cores", "2", **TWIN).returncode == 0
    assert (finished.folder / "results/smoke" / target).exists()


def test_weights_with_nan_are_refused(finished):
    path = finished.folder / "results/smoke/cells/twin-lenet/plain/rounds-0-1/weights.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name][1].flatten()[0] = float("nan")
    with safe_open(path, "pt") as file:
        names = file.metadata()
    save_file(tensors, path, names)
    result = finished.snakemake("results/smoke/predictions/twin-lenet.parquet", "--cores", "1", **TWIN)
    assert result.returncode != 0
    assert f"tensor {name} of round 1, fold all is not finite" in result.stderr


def test_a_full_disk_fails_loudly_and_leaves_nothing_half_written(finished):
    """A limit on the size of files stands for the full disk: writing fails in the middle, with an error of the system."""
    folder = finished.folder / "results/smoke/predictions"
    (folder / "twin-lenet.parquet").unlink()
    command = f"ulimit -f 20; exec {sys.executable} -m snakemake results/smoke/predictions/twin-lenet.parquet --cores 1 --config scale=smoke studies=[twin-lenet] sweeps=False"
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=finished.folder,
        # No bytecode: under the limit, Python 3.11 would keep a cut .pyc file and fail on it ever after.
        env=os.environ | {"PYTHONPATH": str(finished.folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode != 0
    assert not (folder / "twin-lenet.parquet").exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert finished.snakemake("results/smoke/predictions/twin-lenet.parquet", "--cores", "1", **TWIN).returncode == 0


OPTIONAL = [field.name for field in fields(Record) if field.default is None]


def test_a_failing_job_stops_only_what_needs_it_and_a_partial_report_says_what_is_missing(finished):
    finished.edit(
        "src/twinbench/architectures/siamese_resnets.py",
        '        return {"target": self.comparison(self.branch(pairs).flatten(1))}',
        '        raise MemoryError("no luck today")',
    )
    result = finished.snakemake("--cores", "2", **OTHERS)
    assert result.returncode != 0
    log = finished.folder / "results/smoke/logs/train/siamese-resnets/siamese-targets/rounds-0-1.log"
    assert "MemoryError: no luck today" in log.read_text(encoding="utf-8")
    assert "MemoryError: no luck today" in result.stderr, "the terminal shows the failed job's log"
    done = finished.folder / "results/smoke/cells/siamese-resnets"
    assert len(list(done.glob("mlp/*/record.json"))) == 1, "the other jobs went on"

    # Of disc nothing is there, and a record is of before: it lacks fields, and has one that nobody knows.
    for path in (finished.folder / "results/smoke/cells/disc").rglob("record.json"):
        path.unlink()
    (path,) = done.glob("mlp/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    for name in OPTIONAL:
        del record[name]
    path.write_text(json.dumps(record | {"hostname": "somewhere"}), encoding="utf-8")

    partial = finished.snakemake("--cores", "2", "--rerun-triggers", "mtime", "input", **OTHERS, partial="true")
    assert partial.returncode == 0, partial.stderr[-3000:]
    assert "rule train" not in partial.stderr
    report = (finished.folder / "results/smoke/report.md").read_text(encoding="utf-8")
    assert "**Partial: 5 training jobs are missing.**" in report
    assert "model `siamese-targets`, rounds 0-1" in report
    assert report.count("MemoryError: no luck today") == 2
    assert "- `disc`, model `tanh`, rounds 0-1. The end of its log" in report
    assert "\n## disc\n" not in report
    assert re.search(r"\| not recorded \| .* \| 4 \|\n", report), "the two rounds and two folds of the old record"
    assert "ConvSiameseNetClasses" in report
    assert "ConvSiameseNetTargets" not in report.split("## Provenance")[0].replace("### Where the source is silent", "")

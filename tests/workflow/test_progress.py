"""The lines of `make report` on the terminal: the logger plugin, on a workflow of shell commands that takes seconds."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

SNAKEFILE = """
if config["scale"] != "smoke":
    sys.exit("config.yaml: scale: only smoke")

include: "workflow/rules/progress.smk"

rule all:
    input: expand("{study}.evaluated", study=["first", "first.sweep", "second"])

rule train:
    output: "{study}-{model}.weights"
    log: "logs/{study}-{model}.log"
    shell: "study={wildcards.study} log={log}; {config[command]}; touch {output}"

rule evaluate:
    input: "{study}-a.weights", "{study}-b.weights"
    output: "{study}.evaluated"
    shell: "touch {output}"

rule odd:
    input: "nowhere.txt"
    output: "odd.txt"
    shell: "touch {output}"
"""
FAILING = "[ $study != second ] || { seq -f 'line %g' 20 > $log; exit 1; }"


@pytest.fixture
def folder(tmp_path):
    """A project of run.py, the plugin, the rules that go with it, and a workflow of shell commands."""
    shutil.copytree(ROOT / "workflow/plugins", tmp_path / "workflow/plugins")
    for name in ("run.py", "rules/progress.smk"):
        (tmp_path / "workflow" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "workflow" / name, tmp_path / "workflow" / name)
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    return tmp_path


def start(folder, *arguments, command="true", scale="smoke"):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and their children
    options = ["--cores", "2", "--keep-going", "--show-failed-logs", *arguments, "--logger", "progress"]
    return subprocess.Popen(
        [sys.executable, "workflow/run.py", *options, "--config", f"scale={scale}", f"command={command}"],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def run(folder, *arguments, **settings):
    """Return the exit status and the lines that a person sees."""
    process = start(folder, *arguments, **settings)
    output = process.communicate(timeout=60)[0]
    return process.returncode, output.splitlines()


def full_log(folder, lines):
    assert lines[-1].startswith("Full log: .snakemake/log/")
    return (folder / lines[-1].removeprefix("Full log: ")).read_text(encoding="utf-8")


def test_a_run_and_a_second_one(folder):
    status, lines = run(folder)
    assert status == 0
    assert lines[0] == "0:00:00  10 jobs to do: 6 training, 3 evaluation, 1 more"
    steps = [
        re.fullmatch(r"0:00:\d\d  (\d+) of 10 jobs done(?:, about \d+ s left)?; (.+)", line) for line in lines[1:-2]
    ]
    assert sorted(step[2] for step in steps if step[2].endswith("done")) == [
        "first: evaluation done", "first: training done", "second: evaluation done", "second: training done",
    ]  # fmt: skip
    done = [int(step[1]) for step in steps]
    assert done == sorted(done)
    assert re.fullmatch(r"0:00:\d\d  10 of 10 jobs done", lines[-2])
    log = full_log(folder, lines)
    assert log.count("rule train:") == 6
    assert "10 of 10 steps (100%) done" in log

    assert run(folder) == (0, ["Nothing to do: every result is there and up to date"])


def test_failed_jobs(folder):
    status, lines = run(folder, command=FAILING)
    assert status == 1
    failed = [line[9:] for line in lines if "failed: " in line]
    assert sorted(failed) == [
        f"failed: train (study second, model {model}); log: logs/second-{model}.log" for model in "ab"
    ]
    assert any(line.endswith("first: evaluation done") for line in lines), "the other jobs went on"
    end = next(number for number, line in enumerate(lines) if line.endswith("  6 of 10 jobs done, 2 failed"))
    assert lines[end + 1].startswith("The end of logs/second-")
    assert lines[end + 2 : end + 12] == [f"    line {number}" for number in range(11, 21)]
    assert len(lines) == end + 1 + 2 * 11 + 1
    assert "line 1\nline 2\n" in full_log(folder, lines), "the whole log of the job is in the full one"


def test_a_job_that_is_tried_again(folder):
    status, lines = run(folder, "first-a.weights", "--retries", "1", command="[ -e tried ] || { touch tried; exit 1; }")
    assert status == 0
    assert [line[9:] for line in lines[1:3]] == [
        "failed: train (study first, model a); log: logs/first-a.log", "trying again: train (study first, model a)",
    ]  # fmt: skip
    assert lines[-2].endswith("1 of 1 jobs done")


def test_what_stops_a_run_before_its_jobs_is_said_in_full(folder):
    assert run(folder, scale="smokes") == (1, ["config.yaml: scale: only smoke"])
    status, lines = run(folder, "odd.txt")
    assert status == 1
    assert lines[0].startswith("MissingInputException in rule odd")
    assert "nowhere.txt" in lines[-1]


@pytest.mark.parametrize(
    ("ending", "job", "said", "done"),
    [
        (signal.SIGINT, "sleep 60", "Terminating processes on user request, this might take some time.", 0),
        (signal.SIGTERM, "sleep 3", "Will exit after finishing currently running jobs (scheduler).", 2),
    ],
)
def test_a_stopped_run(folder, ending, job, said, done):
    process = start(folder, command=f"touch began-$$; {job}")
    deadline = time.monotonic() + 60
    while len(list(folder.glob("began-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # a terminal sends it to all
    else:
        process.send_signal(ending)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 1
    assert [line[9:] for line in lines[1:-1] if "; " not in line] == [said, f"{done} of 10 jobs done"]
    assert said in full_log(folder, lines)


def test_verbose_and_other_commands_say_what_snakemake_says():
    def command(*words):
        dry = ["make", "--dry-run", "--old-file", ".venv/installed", *words]
        return subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "--logger progress" in command("report")
    assert "--logger progress" in command("report", "PROFILE=slurm", "PARTIAL=1")
    assert "--logger" not in command("report", "VERBOSE=1") + command("html")


@pytest.fixture
def handler(monkeypatch):
    """The plugin, fed with events here."""
    monkeypatch.syspath_prepend(ROOT / "workflow/plugins")
    import snakemake_logger_plugin_progress as plugin

    monkeypatch.setattr(plugin, "SILENCE", 0.2)
    monkeypatch.setattr(plugin, "INTERVAL", 0.1)
    return plugin.LogHandler(None, None)


def tell(handler, event, now, **fields):
    handler.handle(logging.makeLogRecord({"event": event, "created": now, **fields}))


def test_seconds_left_by_hand(handler):
    """Two jobs of 10 s and one of 2 s at once with others; what is left is weighted by rule, model and cores in use."""
    jobs = {
        number: (rule, {"study": "first", "model": model})
        for number, (rule, model) in enumerate(
            [("train", "a"), ("train", "a"), ("train", "b"), ("train", "b"), ("draw", "")]
        )
    }
    tell(handler, "planned", 0, jobs=jobs)
    assert handler.seconds_left(0) is None
    tell(handler, "job_info", 0, jobid=0)
    tell(handler, "job_info", 0, jobid=2)
    tell(handler, "job_finished", 2, job_id=2)
    tell(handler, "job_info", 2, jobid=3)
    tell(handler, "job_finished", 10, job_id=0)
    # Left: model a, 10 s; model b, 2 s, of which the running job has had more; draw, unknown, as the mean of both: 6 s.
    # So far 10 + 2 ended and 8 running job seconds in 10 s: two jobs at once.
    assert handler.seconds_left(10) == pytest.approx((10 + 0 + 6) / 2)
    tell(handler, "job_error", 11, jobid=3, log=["b.log"])
    assert handler.seconds_left(11) == pytest.approx((10 + 6) / (12 / 11)), "a failed job is not waited for"


def test_a_silence_is_broken_with_the_longest_job(handler, capfd):
    now = time.time()
    tell(handler, "planned", now - 300, jobs={1: ("train", {"study": "first"}), 2: ("train", {"study": "second"})})
    tell(handler, "job_info", now - 200, jobid=2)
    tell(handler, "job_info", now - 100, jobid=1)
    time.sleep(0.5)
    handler.started.clear()
    assert "0:05:00  0 of 2 jobs done; running for 3 min: train (study second)\n" in capfd.readouterr().err

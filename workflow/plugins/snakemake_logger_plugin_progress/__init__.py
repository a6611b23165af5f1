"""Progress of a run, in lines for a person: the logger plugin of `make report` (Snakemake's ``--logger progress``).

It prints a line every few seconds, one more when all jobs of a study's step are done, and one for each job that fails.
Warnings and errors stay in Snakemake's words. The last line names Snakemake's own log file, which holds everything.
"""

import os
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase

# Rules that are a study's steps, in words: when all jobs of a step are done, that is worth a line of its own.
STEPS = {"train": "training", "evaluate": "evaluation", "figure": "figures"}
INTERVAL, SILENCE = 5, 60  # seconds between lines, while jobs end and while none does
SHOWN, TAIL = 3, 10  # so many failed jobs show the end of their log, so many lines of it
# How Snakemake's messages begin: on Ctrl-C, on SIGTERM, and of failed jobs, of which the lines here say enough.
KILLED, STOPPED = "Terminating processes on user request", "Will exit after finishing currently running jobs"
REPEATED = ("RuleException:", "Exiting because a job execution failed", "WorkflowError:\nAt least one job did not")


def describe(rule: str, wildcards: dict[str, str]) -> str:
    """Return a job in words."""
    words = ", ".join(f"{name} {value}" for name, value in wildcards.items())
    return f"{rule} ({words})" if words else rule


def groups(rule: str, wildcards: dict[str, str]) -> list[tuple[str, ...]]:
    """Return the groups of jobs that a job is one of, the smallest first: jobs of a group take about equally long."""
    key = (rule, wildcards.get("study", ""), wildcards.get("model", ""))
    return [key[:length] for length in (3, 2, 1, 0)]


def span(seconds: float) -> str:
    """Return a duration with its unit."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into lines on stderr."""

    writes_to_stream = has_filter = has_formatter = True
    writes_to_file = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.began = self.said = 0.0
        self.jobs, self.started, self.failed = {}, {}, {}  # by job: rule and wildcards; when it began; its log files
        self.left = set()  # jobs that are not done
        self.done, self.seconds = Counter(), Counter()  # jobs that are done, and what they took, by group of jobs
        self.all, self.ended = Counter(), Counter()  # jobs, and those that are done, by step
        self.stopping = ""  # what Snakemake said of it
        threading.Thread(target=self.break_silence, daemon=True).start()

    def emit(self, record: LogRecord) -> None:
        """Say what the record means for the run, if anything; whatever goes wrong here does not stop the run."""
        try:
            getattr(self, f"on_{getattr(record, 'event', 'message')}", self.on_message)(record)
        except Exception:
            self.handleError(record)

    def on_planned(self, record: LogRecord) -> None:
        """The run begins; an event of workflow/rules/progress.smk."""
        self.began, self.jobs, self.left = record.created, record.jobs, set(record.jobs)
        self.all.update(self.step(job) for job in self.jobs)
        kinds = Counter(STEPS.get(rule, "more") for rule, _ in self.jobs.values())
        words = ", ".join(f"{kinds[kind]} {kind}" for kind in (*STEPS.values(), "more") if kinds[kind])
        self.say(f"{len(self.jobs)} jobs to do: {words}", record.created)

    def on_job_info(self, record: LogRecord) -> None:
        """A job begins; under Slurm, it is submitted."""
        self.started[record.jobid] = record.created
        if record.jobid in self.failed:
            del self.failed[record.jobid]
            self.say(f"trying again: {describe(*self.jobs[record.jobid])}", record.created)

    def on_job_finished(self, record: LogRecord) -> None:
        """A job is done."""
        self.left.discard(record.job_id)
        took = record.created - self.started.pop(record.job_id)
        for group in groups(*self.jobs[record.job_id]):
            self.done[group] += 1
            self.seconds[group] += took
        step = self.step(record.job_id)
        self.ended[step] += 1
        whole = self.ended[step] == self.all[step]
        if (whole and step[1] in STEPS.values()) or record.created - self.said >= INTERVAL:
            how_far = "done" if whole else f"{self.ended[step]} of {self.all[step]}"
            self.say_progress(f"{': '.join(filter(None, step))} {how_far}", record.created)

    def on_job_error(self, record: LogRecord) -> None:
        """A job failed, or was ended because the run is."""
        self.started.pop(record.jobid, None)
        if not self.stopping.startswith(KILLED):
            self.failed[record.jobid] = record.log
            job = describe(*self.jobs[record.jobid])
            self.say(f"failed: {job}; log: {', '.join(record.log) or 'none'}", record.created)

    def on_message(self, record: LogRecord) -> None:
        """Anything else that Snakemake says."""
        message = record.getMessage()
        if message.startswith("Nothing to be done"):
            print("Nothing to do: every result is there and up to date", file=sys.stderr)
        elif message.startswith((KILLED, STOPPED)):
            if message != self.stopping:  # which Snakemake repeats
                self.say(message, record.created)
            self.stopping = message
        elif message.startswith("Complete log"):
            self.on_end(record.created, message.partition(": ")[2])
        elif record.levelno >= WARNING and not (self.jobs and message.startswith(REPEATED)):
            print(message, file=sys.stderr)

    def on_end(self, now: float, log: str) -> None:
        """The run is over: what came of it, the end of some failed jobs' logs, and where the full log is."""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        self.say(f"{self.done[()]} of {len(self.jobs)} jobs done{failed}", now)
        for path in [Path(logs[0]) for logs in self.failed.values() if logs][:SHOWN]:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
            print(f"The end of {path}:", *(lines[-TAIL:] or ["nothing is there"]), sep="\n    ", file=sys.stderr)
        print(f"Full log: {os.path.relpath(log)}", file=sys.stderr)

    def break_silence(self) -> None:
        """Name the job that runs longest whenever nothing was said for a while."""
        while True:
            time.sleep(INTERVAL)
            with self.lock:
                now = time.time()
                if self.started and now - self.said >= SILENCE:
                    job = min(self.started, key=self.started.get)
                    self.say_progress(f"running for {span(now - self.started[job])}: {describe(*self.jobs[job])}", now)

    def step(self, job: int) -> tuple[str, str]:
        """Return the study of a job, sweeps counted with it, and its step in words."""
        rule, wildcards = self.jobs[job]
        return wildcards.get("study", "").split(".")[0], STEPS.get(rule, rule)

    def say_progress(self, what: str, now: float) -> None:
        left = self.seconds_left(now)
        about = "" if left is None else f", about {span(left)} left"
        self.say(f"{self.done[()]} of {len(self.jobs)} jobs done{about}; {what}", now)

    def say(self, what: str, now: float) -> None:
        self.said = now
        print(f"{timedelta(seconds=int(now - self.began))}  {what}", file=sys.stderr, flush=True)

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds left if jobs take as long, and as many run at once, as so far.

        None before one job in twenty is done, and jobs of rules that make up half of all jobs.
        """
        known = sum(self.done[rule,] > 0 for rule, _ in self.jobs.values())
        if 20 * self.done[()] < len(self.jobs) or 2 * known < len(self.jobs):
            return None
        running = {job: now - began for job, began in self.started.items()}
        work = 0.0
        for job in self.left - self.failed.keys():
            group = next(group for group in groups(*self.jobs[job]) if self.done[group])
            work += max(0.0, self.seconds[group] / self.done[group] - running.get(job, 0.0))
        return work * (now - self.began) / (self.seconds[()] + sum(running.values()))

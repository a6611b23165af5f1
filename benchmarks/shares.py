"""Where the seconds of a finished run went: start-up, data, training, evaluation, as its jobs noted: `make bench`.

Start-up is what is left of a job's seconds: Python and its imports, building the nets, the warm-up, keeping the best
weights of early stopping, checkpoints and results. Training seconds are those of the training steps, evaluation those
after every epoch, both after the job's start-up.
"""

import argparse
import re
from pathlib import Path

import pandas as pd

from benchmarks.tables import markdown, number, write
from twinbench.training.record import Record

PARTS = ["startup", "data", "train", "evaluate"]
TIMES = ["Seconds", "Start-up", "Data", "Training", "Evaluation"]
COLUMNS = ["Training jobs", "Jobs", *TIMES, "Start-up, share", "MB, most"]


def training_jobs(results: Path) -> pd.DataFrame:
    """Return a row a training job: study, benchmark (its path), seconds, their four parts and max_rss in MB.

    A job that was killed went on from a checkpoint with the seconds noted before: its parts are more than its own
    seconds, and its row is left out.
    """
    rows = []
    for path in sorted((results / "cells").rglob("record.json")):
        cell, record = path.parent.relative_to(results / "cells"), Record.read(path)
        benchmark = results / "benchmarks/train" / f"{cell}.tsv"
        train = sum(ended.train_seconds for ended in record.rounds)
        parts = {"data": record.data_seconds, "train": train, "evaluate": record.evaluate_seconds}
        row = {"study": record.study, "benchmark": benchmark.as_posix(), **_measured(benchmark), **parts}
        rows.append(row | {"startup": row["seconds"] - sum(parts.values())})
    jobs = pd.DataFrame(rows)
    return jobs[jobs["startup"] >= 0]


def other_jobs(results: Path) -> pd.DataFrame:
    """Return a row a job that trains nothing: rule, seconds and max_rss in MB."""
    rows = []
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(results / "benchmarks").with_suffix("").parts[0]
        if rule != "train":
            rows.append({"rule": rule, **_measured(path)})
    return pd.DataFrame(rows)


def _measured(benchmark: Path) -> dict[str, float]:
    """Return a job's wall seconds and the most memory that Snakemake saw it use, in MB."""
    row = pd.read_csv(benchmark, sep="\t").iloc[0]
    return {"seconds": float(row["s"]), "max_rss": float(row["max_rss"])}


def whole_run(jobs: pd.DataFrame, logs: Path) -> tuple[float, int] | None:
    """Return wall seconds and cores of the one run of Snakemake that made all these jobs; None if no single one did."""
    for log in sorted(logs.glob("*.snakemake.log")):
        text = log.read_text(encoding="utf-8")
        elapsed = re.search(r"^Elapsed time: (\d+):(\d+):([\d.]+)$", text, re.MULTILINE)
        cores = re.search(r"^Provided cores: (\d+)", text, re.MULTILINE)
        made = set(re.findall(r"^ +benchmark: (.+)$", text, re.MULTILINE))
        if elapsed and cores and made.issuperset(jobs["benchmark"]):
            hours, minutes, seconds = map(float, elapsed.groups())
            return 3600 * hours + 60 * minutes + seconds, int(cores[1])
    return None


def share_row(name: str, jobs: pd.DataFrame) -> list[object]:
    """Return a row of the first table: sums over some training jobs."""
    seconds = [number(jobs[part].sum()) for part in ("seconds", *PARTS)]
    share = jobs["startup"].sum() / jobs["seconds"].sum()
    return [name, len(jobs), *seconds, f"{share:.1%}", number(jobs["max_rss"].max())]


def wall_sentence(jobs: pd.DataFrame, run: tuple[float, int] | None) -> str:
    """Return what the whole workflow took beside its training and evaluation."""
    if run is None:
        return "The jobs were not all made by one run of Snakemake whose log is here: its wall time is not known."
    (wall, cores), work = run, jobs["train"].sum() + jobs["evaluate"].sum()
    return (
        f"The whole workflow took {number(wall)} s on {cores} cores (n = 1): {wall / (work / cores):.2f} times the "
        f"training and evaluation seconds over the cores, {number(work)} s / {cores}."
    )


def text(jobs: pd.DataFrame, others: pd.DataFrame, run: tuple[float, int] | None) -> str:
    """Return both tables and the sentence."""
    studies = [share_row(study, of_study) for study, of_study in jobs.groupby("study", sort=False)]
    rules = [
        [rule, len(of_rule), number(of_rule["seconds"].sum()), number(of_rule["max_rss"].max())]
        for rule, of_rule in others.groupby("rule", sort=False)
    ]
    return "\n\n".join([
        "Wall seconds, summed over the jobs, each on one core.",
        markdown(COLUMNS, [*studies, share_row("**all**", jobs)]),
        markdown(["Other jobs", "Jobs", "Seconds", "MB, most"], rules),
        wall_sentence(jobs, run),
    ])  # fmt: skip


def main() -> None:
    """Read a run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/paper"))
    parser.add_argument("--logs", type=Path, default=Path(".snakemake/log"), help="logs of Snakemake itself")
    arguments = parser.parse_args()
    jobs, others = training_jobs(arguments.results), other_jobs(arguments.results)
    rows = pd.concat([jobs.assign(rule="train"), others], ignore_index=True)
    write("shares", rows, text(jobs, others, whole_run(jobs, arguments.logs)))


if __name__ == "__main__":
    main()

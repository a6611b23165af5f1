"""Where the seconds of a finished run went, as its jobs noted: start-up, data, training, evaluation, other jobs.

Start-up is what is left of a training job's seconds: Python and its imports, building the models, the warm-up, keeping
the best weights of early stopping, checkpoints and results.
"""

import re
from pathlib import Path

import pandas as pd

from benchmarks.page import markdown, number
from twinbench.training.record import Record

RESULTS, LOGS = Path("results/paper"), Path(".snakemake/log")
PARTS = ["startup", "data", "train", "evaluate"]
COLUMNS = ["Jobs", "n", "Seconds", "Start-up", "Data", "Training", "Evaluation", "MB, most"]


def jobs_of(results: Path) -> pd.DataFrame:
    """Return a row per job: its benchmark (a path), rule, study, wall seconds and max_rss in MB, and `PARTS`.

    Only training jobs have a study and parts. One that was killed and went on from a checkpoint noted more seconds than
    its last job had; its row is left out.
    """
    rows = []
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        rule, *cell = path.relative_to(results / "benchmarks").with_suffix("").parts
        measured = pd.read_csv(path, sep="\t").iloc[0]
        row = {"benchmark": path.as_posix(), "rule": rule, "seconds": float(measured["s"]), "rss": measured["max_rss"]}
        if rule == "train":
            record = Record.read(results.joinpath("cells", *cell, "record.json"))
            train = sum(ended.train_seconds for ended in record.trainings)
            row |= {"data": record.data_seconds, "train": train, "evaluate": record.evaluate_seconds}
            row |= {"study": record.study, "startup": row["seconds"] - row["data"] - train - row["evaluate"]}
        rows.append(row)
    jobs = pd.DataFrame(rows)
    return jobs[~(jobs["startup"] < 0)]


def share_row(name: str, jobs: pd.DataFrame) -> list[object]:
    """Return a row of the table: sums over some jobs."""
    parts = [number(jobs[part].sum()) if jobs[part].notna().any() else "–" for part in PARTS]
    return [name, len(jobs), number(jobs["seconds"].sum()), *parts, number(jobs["rss"].max())]


def whole_run(jobs: pd.DataFrame, logs: Path) -> str:
    """Return what the one run of Snakemake that made all these jobs took, as a sentence."""
    for log in sorted(logs.glob("*.snakemake.log")):
        text = log.read_text(encoding="utf-8")
        elapsed = re.search(r"^Elapsed time: (\d+):(\d+):([\d.]+)$", text, re.MULTILINE)
        cores = re.search(r"^Provided cores: (\d+)", text, re.MULTILINE)
        made = set(re.findall(r"^ +benchmark: (.+)$", text, re.MULTILINE))
        if elapsed and cores and made.issuperset(jobs["benchmark"]):
            hours, minutes, seconds = map(float, elapsed.groups())
            wall = number(3600 * hours + 60 * minutes + seconds)
            return f"The whole workflow took {wall} s on {cores[1]} cores (n = 1)."
    return "The jobs were not all made by one run of Snakemake whose log is here: its wall time is not known."


def run(*_: object) -> tuple[pd.DataFrame, str]:
    """Read a run at paper scale."""
    jobs = jobs_of(RESULTS)
    training, others = jobs[jobs["rule"] == "train"], jobs[jobs["rule"] != "train"]
    lines = [share_row(study, of_study) for study, of_study in training.groupby("study", sort=False)]
    lines += [
        share_row("**training**", training),
        *(share_row(*of_rule) for of_rule in others.groupby("rule")),
        share_row("**all**", jobs),
    ]
    intro = "Wall seconds, summed over the jobs, each on one core; training jobs by study, the others by rule."
    return jobs, "\n\n".join([intro, markdown(COLUMNS, lines), whole_run(jobs, LOGS)])

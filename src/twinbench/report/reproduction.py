"""Published values beside ours as text for the report: counts, tables, and lines on values that are not reproduced."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from twinbench.evaluation.reproduction import WIDE, Count, count
from twinbench.evaluation.statistics import Summary
from twinbench.metric import METRICS
from twinbench.report.tables import summary_text
from twinbench.spec.study import Study

SPREADS = {
    "variance": "The report prints variances. Here they are turned into standard deviations.",
    "population": "The report prints standard deviations of a population (divided by n). Here they are turned into "
    "those of a sample (divided by n − 1).",
}


def reproduction_part(study: Study, table: pd.DataFrame) -> dict[str, Any]:
    """Return what the template shows of a study's published values, from the rows of `evaluation.reproduction`."""
    main = table["main"].astype(bool)
    return {
        "finding": finding(count(table, main=True), "published test result"),
        "all_values": finding(count(table), "published value", "all splits and losses, without seconds"),
        "header": _header(table),
        "compared": value_rows(study, pd.concat([table[main], table[~main]])),
        "spreads": [text for spread, text in SPREADS.items() if (table["published_spread"] == spread).any()],
        "run_differences": difference_lines(study),
        "apart": apart_lines(study, table),
    }  # fmt: skip


def difference_lines(study: Study) -> list[str]:
    """Return a line for each difference between the report and its authors' code, with the models that have it."""
    runs = {name: model for name, model in study.models.items() if model.as_run_of}
    about: dict[str, list[str]] = {}
    for model in runs.values():
        for sentence in model.differs:
            about.setdefault(sentence, []).append(study.labels[model.as_run_of])
    return [
        f"{'All' if len(runs) == len(labels) > 1 else ', '.join(labels)}: {text}." for text, labels in about.items()
    ]


def finding(counted: Count, noun: str, note: str = "") -> str:
    """Return the counts as a sentence without its full stop: ``2 of 4 published values are reproduced, …``."""
    if not counted.total:
        return f"no {noun}s"
    many, are = (noun, "is") if counted.total == 1 else (f"{noun}s", "are")
    note = f" ({note})" if note else ""
    if counted.unjudged == counted.total:
        return f"no verdict on the {counted.total} {many}{note}"
    text = f"{counted.reproduced} of {counted.total} {many}{note} {are} reproduced"
    if counted.reproduced:
        text += f", {counted.described} as described and {counted.run} as run"
    if counted.wide:
        size = f"over ±{100 * WIDE:.0f} points"
        text += f"; {counted.wide} of these in an interval of {size}, into which almost any value fits"
    rest = {"neither": counted.neither, "without a verdict": counted.unjudged}
    return text + "".join(f"; {number} {word}" for word, number in rest.items() if number)


def count_rows(table: pd.DataFrame, names: list[str]) -> list[list[str]]:
    """Return a row of counts per study, and one of all: published test results, then all published values."""
    rows = []
    for name, of_study in [*((name, table[table["study"] == name]) for name in names), ("all studies", table)]:
        cells = []
        for counted in (count(of_study, main=True), count(of_study)):
            numbers = (counted.total, counted.described, counted.run, counted.wide, counted.neither, counted.unjudged)
            cells += map(str, numbers)
        rows.append([name, *cells])
    return rows


def _header(table: pd.DataFrame) -> list[str]:
    ours = ["verdict", "half-width"]
    run = ["As run: ours", *(f"As run: {name}" for name in ours)] if (table["role"] == "run").any() else []
    return ["Model", "Quantity", "Published", "As described: ours", *(f"As described: {name}" for name in ours), *run,
            "Reproduced"]  # fmt: skip


def value_rows(study: Study, table: pd.DataFrame) -> list[list[str]]:
    """Return a row per published value: model, quantity, published, ours as described and as run, and the outcome.

    Ours is mean ± std, the verdict with ours − published, and the half-width of the interval.
    """
    any_run, rows = (table["role"] == "run").any(), []
    for of_value in _values(table):
        described, runs = of_value.iloc[0], of_value[of_value["role"] == "run"]
        run = _beside(runs.iloc[0]) if len(runs) else ["–"] * 3
        rows.append([study.labels[described["model"]], _quantity(described), _published(described),
                     *_beside(described), *(run if any_run else []), described["outcome"]])  # fmt: skip
    return rows


def _values(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Return the rows of each published value in turn; the first is that of the model as described."""
    for _, rows in table.groupby((table["role"] == "described").cumsum(), sort=False):
        yield rows


def _beside(row: pd.Series) -> list[str]:
    """Return ours, the verdict and the half-width of the interval, as text."""
    metric = METRICS[row["metric"]]
    half = metric.difference(row["half_width"]).replace("+", "±") if row["half_width"] >= 0 else "–"
    return [_ours(row), _verdict(row), half + (", wide" if metric.share and row["half_width"] > WIDE else "")]


def _ours(row: pd.Series) -> str:
    return summary_text(Summary(row["mean"], row["std"], row["n"]), row["metric"])


def _verdict(row: pd.Series) -> str:
    if row["verdict"] == "no verdict":
        return f"no verdict ({row['reason']})"
    return f"{row['verdict']}, {METRICS[row['metric']].difference(row['mean'] - row['published'])}"


def _quantity(row: pd.Series) -> str:
    if METRICS[row["metric"]].hardware:
        return "training, seconds per round"
    return f"{row['split']} {METRICS[row['metric']].words}"


def _published(row: pd.Series) -> str:
    """Return a published value with its deviation, and how many rounds it is the mean of; mark what is uncertain."""
    unknown = not pd.isna(row["published_std"]) and row["published_spread"] == "unknown"
    marks = [f"n = {row['published_n']}"] if row["published_n"] > 1 else []
    marks += ["by eye"] if row["by_eye"] else []
    marks += ["± is not explained"] if unknown else []
    std = None if pd.isna(row["published_std"]) else row["published_std"]
    return METRICS[row["metric"]].text(row["published"], std) + (f" ({', '.join(marks)})" if marks else "")


def apart_lines(study: Study, table: pd.DataFrame) -> list[str]:
    """Return a line for each value that is not reproduced: how far ours are, what was tried, and what of that fits."""
    lines = []
    for of_value in _values(table[table["outcome"] == "neither"]):
        rows = [row for _, row in of_value.iterrows()]
        metric, roles = METRICS[rows[0]["metric"]], {"described": "as described", "run": "as run"}
        found = [f"{roles[row['role']]} {_ours(row)}, {metric.difference(row['mean'] - row['published'])}, where "
                 f"{metric.text(row['low'])} to {metric.text(row['high'])} would fit"
                 for row in rows if row["role"] in roles]  # fmt: skip
        tried = [row for row in rows if row["role"] == "tried"]
        fits = [study.labels[row["ours"]] for row in tried if row["verdict"] == "reproduced"]
        trials = [f"{study.labels[row['ours']]} {_ours(row)} ({_verdict(row)})" for row in tried]
        text = f"{study.labels[rows[0]['model']]}, {_quantity(rows[0])}: published {_published(rows[0])}; "
        text += "; ".join(found) + ". " + (f"Tried: {'; '.join(trials)}. " if trials else "")
        lines.append(text + (f"This fits: {', '.join(fits)}." if fits else "No reason found."))
    return lines

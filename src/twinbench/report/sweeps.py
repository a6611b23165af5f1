"""A study's sweeps as text for the report: the table of settings, the best one, and the report's own conclusion."""

import math

import pandas as pd

from twinbench.evaluation.statistics import Summary, possible
from twinbench.evaluation.sweeps import Setting, agreement, best_setting, settings
from twinbench.report import tables


def sweep_parts(study: dict, table: pd.DataFrame | None) -> list[dict]:
    """Return what the template shows of each sweep of a study.

    Args:
        study: the study's part of `Plan.report`.
        table: rows of sweeps.parquet, of all studies; None without sweeps.
    """
    parts = []
    for name, swept in study["sweeps"].items():
        sweep = name.partition(".")[2]
        rows = table[(table["study"] == name.partition(".")[0]) & (table["sweep"] == sweep)]
        parts.append(swept | {
            "name": sweep,
            "header": _header(swept),
            "rows": _rows(swept, settings(rows)),
            "best": _best(swept, rows),
            "verdict": _verdict(swept, rows) if swept["published"] else "",
            "seconds": f"{rows.drop_duplicates(['point', 'round'])['train_seconds'].sum():,.0f}",
        })  # fmt: skip
    return parts


def _splits(swept: dict) -> list[str]:
    """Return the splits whose values the table has: those that choose, and those that are shown."""
    return list(dict.fromkeys(["validation", swept["split"]]))


def _header(swept: dict) -> list[str]:
    axes = [axis["label"].capitalize() for axis in swept["axes"]]
    metrics = [f"{split} {swept['metric'].replace('_', ' ')}".capitalize() for split in _splits(swept)]
    return [*axes, *metrics, "Training, s a round", "Rounds diverged"]


def _rows(swept: dict, found: dict[str, Setting]) -> list[list[str]]:
    rows = []
    for point, values in swept["points"].items():
        texts = [axis["texts"][axis["values"].index(value)] for axis, value in zip(swept["axes"], values, strict=True)]
        if point not in found:  # a partial report
            rows.append([*texts, *["missing"] * (len(_splits(swept)) + 1), "–"])
            continue
        setting = found[point]
        summaries = [setting.values[split] for split in _splits(swept)]
        measured = [*((one, swept["metric"]) for one in summaries), (setting.seconds, "seconds")]
        shown = [tables.summary_text(*one) if one[0].n else "no result" for one in measured]
        rows.append([*texts, *shown, str(setting.diverged)])
    return rows


def _best(swept: dict, rows: pd.DataFrame) -> str:
    """Return the best setting with its interval, and its value on the test pairs, which had no part in the choice."""
    best = best_setting(settings(rows), swept["metric"])
    if best is None:
        return "none, every setting had a training that diverged"
    validation, test = best.values["validation"], best.values["test"]
    return (f"{swept['labels'][best.point]}, validation {_quantity(swept)} {_interval(validation, swept['metric'])}; "
            f"on the test pairs {tables.summary_text(test, swept['metric'])}")  # fmt: skip


def _verdict(swept: dict, rows: pd.DataFrame) -> str:
    """Return whether the report's conclusion and our best setting agree, and why."""
    found = agreement(rows, swept)
    if found.theirs is None:
        return f"{found.word}: {found.reason}"
    value = tables.summary_text(found.theirs.values["validation"], swept["metric"])
    return f"{found.word}, {found.reason}; {swept['labels'][found.theirs.point]}: {value}"


def _interval(summary: Summary, metric: str) -> str:
    """Return ``mean, 95 % interval from … to …`` or, for one value, the value."""
    low, high = summary.confidence_interval()
    if math.isnan(low):
        return tables.summary_text(summary, metric)
    low, high = (tables.value_text(end, metric) for end in possible((low, high), metric))
    return f"{tables.value_text(summary.mean, metric)} (95 % interval {low} to {high}, n = {summary.n})"


def _quantity(swept: dict) -> str:
    return swept["metric"].replace("_", " ")

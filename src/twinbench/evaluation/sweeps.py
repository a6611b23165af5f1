"""Sweeps: every point's values as tidy rows, the best setting, and whether it is the report's.

The values are those of the training histories, at the epoch whose weights were kept; predictions would give the same
ones and take each point another job.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import FEWEST, MEASURED, as_quantity, is_smaller
from twinbench.files import read_parquet

AXES = ("x", "y")


def sweep_table(
    sweeps: dict[str, dict], cells: list[dict[str, str]], records: list[Path], histories: list[Path]
) -> pd.DataFrame:
    """Return a row a (point, round, split) of a study's sweeps.

    Args:
        sweeps: metric, axes and points of each (`planning.Plan.sweep_tables`).
        cells: study (``<study>.<sweep>``), model (the point), fold and rounds of every training job.
        records, histories: what the training jobs wrote.

    Returns:
        study, sweep, point, x_axis, x_value, y_axis, y_value (text, y empty where there is one axis), round, split,
        metric, value (NaN where the training diverged or the value is not finite), train_seconds, status, reason.
    """
    tables = []
    for cell, record, history in zip(cells, records, histories, strict=True):
        swept = sweeps[cell["study"]]
        study, _, sweep = cell["study"].partition(".")
        ended = pd.DataFrame(json.loads(record.read_text(encoding="utf-8"))["rounds"])
        # A training that diverged, or never had a finite validation loss, kept no epoch: its last one stands for it.
        whole = (ended["status"] == "ok") & (ended["best_epoch"] > 0)
        ended["epoch"] = ended["best_epoch"].where(whole, ended["epochs"])
        kept = read_parquet(history).merge(ended, on=["round", "epoch"])
        values = as_quantity(kept[MEASURED[swept["metric"]]], swept["metric"])
        names = {"study": study, "sweep": sweep, "point": cell["model"]}
        for axis, path, value in zip(AXES, [*swept["axes"], ""], [*swept["points"][cell["model"]], ""], strict=False):
            names |= {f"{axis}_axis": path, f"{axis}_value": value}
        tables.append(
            kept[["round", "split"]].assign(
                **names,
                metric=swept["metric"],
                value=values.where((kept["status"] == "ok") & np.isfinite(values)),
                **kept[["train_seconds", "status", "reason"]],
            )
        )
    columns = ["study", "sweep", "point", *(f"{axis}_{part}" for axis in AXES for part in ("axis", "value")), "round",
               "split", "metric", "value", "train_seconds", "status", "reason"]  # fmt: skip
    return pd.concat(tables, ignore_index=True)[columns]


@dataclass(frozen=True)
class Setting:
    """One point of a sweep over its rounds."""

    point: str
    diverged: int  # rounds that did, or that have no finite value
    # Over the other rounds:
    values: dict[str, Summary]  # split → of the metric
    seconds: Summary  # of training a round


def settings(table: pd.DataFrame) -> dict[str, Setting]:
    """Return every point of one sweep's rows by name, in their order."""
    found = {}
    for point, rows in table.groupby("point", sort=False):
        rounds = rows.groupby("round").agg(
            value=("value", lambda values: values.sum(skipna=False)), seconds=("train_seconds", "first")
        )
        lost = rounds["value"].isna()
        found[point] = Setting(
            point,
            int(lost.sum()),
            {split: Summary.of(of_split["value"]) for split, of_split in rows.groupby("split", sort=False)},
            Summary.of(rounds.loc[~lost, "seconds"]),
        )
    return found


def best_setting(found: dict[str, Setting], metric: str, among: list[str] | None = None) -> Setting | None:
    """Return the point with the best mean on the validation pairs; the first of equals.

    A point of which a round diverged is not chosen: None comes back if every one has. Test pairs play no part.

    Args:
        found: those of `settings`.
        metric: that of the sweep; more is better for an accuracy, less for all others.
        among: names of the points to choose from; None for all.
    """
    sign = -1 if metric == "accuracy" else 1
    names = list(found) if among is None else [point for point in among if point in found]
    whole = [found[point] for point in names if not found[point].diverged]
    means = [sign * setting.values["validation"].mean for setting in whole]
    return whole[int(np.argmin(means))] if whole else None


@dataclass(frozen=True)
class Agreement:
    """Whether a report's best setting is ours."""

    word: str  # agrees, differs or no verdict
    reason: str
    theirs: Setting | None = None  # the best of the points that the report's conclusion names


def agreement(table: pd.DataFrame, swept: dict) -> Agreement:
    """Compare the report's conclusion with our best setting.

    They agree if the 95 % interval (Student's) of the paired differences, round by round on the validation pairs,
    between the report's setting and our best one holds 0. Where the conclusion names one of two axes, the best of its
    points is taken. No verdict is given on a smaller protocol, on fewer rounds than other verdicts need, or where
    trainings are missing, as in a partial report.

    Args:
        table: one sweep's rows.
        swept: metric, points, claimed, protocol and reduced of that sweep (`planning.Plan.sweep`).
    """
    found = settings(table)
    best = best_setting(found, swept["metric"])
    theirs = best_setting(found, swept["metric"], swept["claimed"])
    if is_smaller(swept["reduced"]):
        return Agreement("no verdict", "smaller protocol", theirs)
    if swept["protocol"]["rounds"] < FEWEST:
        return Agreement("no verdict", "too few rounds", theirs)
    if len(table.drop_duplicates(["point", "round"])) < len(swept["points"]) * swept["protocol"]["rounds"]:
        return Agreement("no verdict", "trainings are missing", theirs)
    if best is None:
        return Agreement("no verdict", "every setting diverged")
    if theirs is None:
        return Agreement("differs", "the report's setting diverged")
    if theirs.point == best.point:
        return Agreement("agrees", "the same setting", theirs)
    rows = table[table["split"] == "validation"].pivot(index="round", columns="point", values="value")
    low, high = Summary.of(rows[theirs.point] - rows[best.point]).confidence_interval()
    if low <= 0 <= high:
        return Agreement("agrees", "the difference from our best is not significant", theirs)
    return Agreement("differs", "the report's setting is significantly worse than our best", theirs)

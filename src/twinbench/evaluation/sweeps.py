"""Sweeps: every setting's values over its rounds, the best setting, and whether it is the report's."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import FEWEST, is_smaller
from twinbench.metric import METRICS
from twinbench.spec.study import Study, Swept


def sweep_table(metric: str, metrics: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return a row per (setting, round, split) of a sweep, from its tables of metrics and cells.

    Columns: setting, round, split, value of the sweep's metric (NaN where the training diverged or the value is not
    finite), train_seconds, status.
    """
    found = METRICS[metric]
    rows = metrics[metrics["metric"] == found.column]
    # Every training gets a row per split, even if it diverged and so has no value.
    splits = pd.DataFrame({"split": metrics["split"].unique()})
    table = cells[["model", "round", "train_seconds", "status"]].merge(splits, how="cross")
    table = table.merge(rows[["model", "round", "split", "value"]], on=["model", "round", "split"], how="left")
    values = found.of(table["value"])
    table["value"] = values.where((table["status"] == "ok") & np.isfinite(values))
    return table.rename(columns={"model": "setting"})


@dataclass(frozen=True)
class Setting:
    """One setting of a sweep over its rounds."""

    name: str
    diverged: int  # rounds that diverged or have no finite value
    # Over the other rounds:
    values: dict[str, Summary]  # split → the metric
    seconds: Summary  # of training per round


def settings(table: pd.DataFrame) -> dict[str, Setting]:
    """Return every setting of a sweep's table (`sweep_table`) by name, in their order."""
    found = {}
    for name, rows in table.groupby("setting", sort=False):
        values = rows.pivot(index="round", columns="split", values="value")
        seconds = rows.groupby("round")["train_seconds"].first()
        ended = values.notna().all(axis="columns")
        summaries = {split: Summary.of(values[split]) for split in values}
        found[name] = Setting(name, int((~ended).sum()), summaries, Summary.of(seconds[ended]))
    return found


def best_setting(found: dict[str, Setting], metric: str, among: list[str] | None = None) -> Setting | None:
    """Return the setting (of ``among``, if given) with the best mean on the validation pairs; the first of equals.

    A setting with a diverged round is never chosen; None if every setting has one. Test pairs play no part.
    """
    whole = [one for name, one in found.items() if not one.diverged and (among is None or name in among)]
    best_of = max if METRICS[metric].higher_is_better else min
    return best_of(whole, key=lambda setting: setting.values["validation"].mean, default=None)


class SweepResults:
    """The results of a sweep that report and figures show, computed from its tables."""

    def __init__(self, swept: Swept, metrics: pd.DataFrame, cells: pd.DataFrame) -> None:
        self.swept = swept
        self.metric = METRICS[swept.metric]
        self.table = sweep_table(swept.metric, metrics, cells)  # a row per setting, round and split
        self.rounds = self.table["round"].nunique()
        self.found = settings(self.table)  # every setting over its rounds, by name
        self.best = best_setting(self.found, swept.metric)  # by the validation pairs; None if every one diverged


@dataclass(frozen=True)
class Agreement:
    """Whether a report's best setting is ours."""

    word: str  # agrees, differs or no verdict
    reason: str
    theirs: Setting | None = None  # the best of the settings that the report's conclusion names


def agreement(table: pd.DataFrame, study: Study) -> Agreement:
    """Compare the report's conclusion with our best setting, by a sweep's `sweep_table`.

    Take the differences between the report's setting and our best one, round by round on the validation pairs. The two
    agree if Student's 95 % interval of the differences holds 0. If the conclusion names one of two axes, the best of
    its settings is taken. There is no verdict on a smaller protocol, on fewer rounds than other verdicts need, or where
    trainings are missing, as in a partial report.
    """
    found, swept, rounds = settings(table), study.swept, study.protocol.rounds
    best = best_setting(found, swept.metric)
    theirs = best_setting(found, swept.metric, swept.claimed)
    if is_smaller(study):
        return Agreement("no verdict", "smaller protocol", theirs)
    if rounds < FEWEST:
        return Agreement("no verdict", "too few rounds", theirs)
    if len(table.drop_duplicates(["setting", "round"])) < len(swept.settings) * rounds:
        return Agreement("no verdict", "trainings are missing", theirs)
    if best is None:
        return Agreement("no verdict", "every setting diverged")
    if theirs is None:
        return Agreement("differs", "the report's setting diverged")
    if theirs.name == best.name:
        return Agreement("agrees", "the same setting", theirs)
    rows = table[table["split"] == "validation"].pivot(index="round", columns="setting", values="value")
    low, high = Summary.of(rows[theirs.name] - rows[best.name]).confidence_interval()
    if low <= 0 <= high:
        return Agreement("agrees", "the difference from our best is not significant", theirs)
    return Agreement("differs", "the report's setting is significantly worse than our best", theirs)

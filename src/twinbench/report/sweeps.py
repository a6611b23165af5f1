"""A study's sweeps as text for the report: the table of settings, the best one, and the report's own conclusion."""

import math
from typing import Any

import pandas as pd

from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.sweeps import SweepResults, agreement
from twinbench.metric import Metric
from twinbench.report.tables import summary_text
from twinbench.spec.study import Study


def sweep_part(study: Study, metrics: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    """Return what the template shows of a sweep, from its tables."""
    results = SweepResults(study.swept, metrics, cells)
    return _table(results) | {
        "study": study,
        "best": _best(study, results),
        "verdict": _verdict(study, results.table) if study.swept.claimed else "",
        "kept": _kept(study),
        "seconds": f"{results.table.drop_duplicates(['setting', 'round'])['train_seconds'].sum():,.0f}",
    }


def _table(results: SweepResults) -> dict[str, Any]:
    """Return header and rows of the settings; the metric is on the split that chooses and the one shown."""
    swept, found, rows = results.swept, results.found, []
    splits = list(dict.fromkeys(["validation", swept.split]))
    metrics = [f"{split} {results.metric.words}" for split in splits]
    header = [*(axis.label for axis in swept.axes), *metrics, "training, seconds per round", "rounds diverged"]
    for name, values in swept.settings.items():
        row = [axis.texts[axis.values.index(value)] for axis, value in zip(swept.axes, values, strict=True)]
        if name in found:
            row += [summary_text(found[name].values[split], swept.metric) for split in splits]
            row += [summary_text(found[name].seconds, "seconds"), str(found[name].diverged)]
        else:  # a partial report
            row += [*["missing"] * (len(splits) + 1), "–"]
        rows.append(row)
    return {"header": [name.capitalize() for name in header], "rows": rows}


def _best(study: Study, results: SweepResults) -> str:
    """Return the best setting with its interval, and its value on the test pairs, which had no part in the choice."""
    best, metric = results.best, results.metric
    if best is None:
        return "none, every setting had a training that diverged"
    validation, test = _interval(best.values["validation"], metric), summary_text(best.values["test"], metric.name)
    return f"{study.labels[best.name]}, validation {metric.words} {validation}; on the test pairs {test}"


def _verdict(study: Study, table: pd.DataFrame) -> str:
    """Return whether the report's conclusion and our best setting agree, and why."""
    found = agreement(table, study)
    if found.theirs is None:
        return f"{found.word}: {found.reason}"
    value = summary_text(found.theirs.values["validation"], study.swept.metric)
    return f"{found.word}, {found.reason}; {study.labels[found.theirs.name]}: {value}"


def _interval(summary: Summary, metric: Metric) -> str:
    """Return ``mean, 95 % interval from … to …`` or, for one value, the value."""
    low, high = summary.confidence_interval()
    if math.isnan(low):
        return summary_text(summary, metric.name)
    low, high = map(metric.text, metric.possible((low, high)))
    return f"{metric.text(summary.mean)} (95 % interval {low} to {high}, n = {summary.n})"


def _kept(study: Study) -> dict[str, Any]:
    """Return what is the same in all settings: base model, decision, objective, options and training."""
    model = next(iter(study.models.values()))
    kept = {
        "objective": model.objective.model_dump(),
        "options": dict(model.options),
        "training": model.training.model_dump(exclude_defaults=True),
    }
    for axis in study.swept.axes:
        *parents, last = axis.path.split(".")
        node = kept
        for key in parents:
            node = node.get(key, {})
        node.pop(last, None)
    return {"base": study.swept.base, "decision": model.decision} | kept

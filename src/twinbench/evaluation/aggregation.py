"""One study's cells as tidy Parquet."""

import json
from pathlib import Path

import pandas as pd

from twinbench.evaluation.metrics import metrics
from twinbench.files import read_parquet


def study_metrics(predictions: dict[str, Path], scoring: dict[str, dict], study: str) -> pd.DataFrame:
    """Return study, model, fold, round, split, metric, value of all models of a study.

    Args:
        predictions: prediction file of each model.
        scoring: decision and loss weights of each model (`planning.Plan.scoring`).
        study: its name.
    """
    tables = []
    for model, path in predictions.items():
        table = metrics(read_parquet(path), **scoring[model])
        table.insert(0, "model", model)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "study", study)
    return table


def study_cells(records: list[Path], axes: list[dict[str, str]]) -> pd.DataFrame:
    """Return a row a (study, model, fold, round): how its training ended, its cost, and what it ran on.

    Args:
        records: run records of the training jobs.
        axes: study, model and fold of each record.
    """
    rows = []
    for path, names in zip(records, axes, strict=True):
        record = json.loads(path.read_text(encoding="utf-8"))
        ended, environment = record.pop("rounds"), record.pop("environment")
        # Loading and evaluating are timed for the job as a whole: each of its rounds gets an equal share.
        for key in ("data_seconds", "evaluate_seconds"):
            record[key] /= len(ended)
        rows += [names | one | record | environment for one in ended]
    return pd.DataFrame(rows)


def study_history(histories: list[Path], axes: list[dict[str, str]]) -> pd.DataFrame:
    """Return the training histories of all cells of a study, with study, model and fold in front."""
    tables = []
    for path, names in zip(histories, axes, strict=True):
        table = read_parquet(path)
        for position, (name, value) in enumerate(names.items()):
            table.insert(position, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)

"""One study's cells as tidy Parquet."""

import pandas as pd

from twinbench.evaluation.metrics import metrics
from twinbench.evaluation.statistics import mark_reported
from twinbench.training.record import Record


def study_metrics(predictions: pd.DataFrame, scoring: dict[str, dict], study: str) -> pd.DataFrame:
    """Return a study's metrics from its predictions: study, model, fold, round, split, metric, value.

    A last column, ``reported``, marks the fold whose test results are reported. ``scoring`` has decision, loss weights,
    loss and reported fold of each model (`spec.study.Study.scoring`).
    """
    tables, folds = [], {model: of_model["reported_fold"] for model, of_model in scoring.items()}
    for model, rows in predictions.groupby("model", sort=False):
        how = {key: value for key, value in scoring[model].items() if key != "reported_fold"}
        tables.append(metrics(rows, **how).assign(study=study, model=model))
    table = pd.concat(tables, ignore_index=True)[["study", "model", *tables[0].columns[:-2]]]
    return mark_reported(table, folds)


def study_cells(records: list[str]) -> pd.DataFrame:
    """Return a row per (study, model, fold, round): how its training ended, its cost, and what it ran on."""
    return pd.concat([Record.read(path).rows() for path in records], ignore_index=True)

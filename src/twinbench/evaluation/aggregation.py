"""One study's cells as tidy Parquet."""

import pandas as pd

from twinbench.evaluation.metrics import metrics
from twinbench.training.record import Record


def study_metrics(predictions: pd.DataFrame, scoring: dict[str, dict], study: str) -> pd.DataFrame:
    """Return a study's metrics from its predictions: study, model, fold, round, split, metric, value.

    ``scoring`` has decision, loss weights and loss of each model (`spec.study.Study.scoring`).
    """
    models = predictions.groupby("model", sort=False)
    tables = [metrics(rows, **scoring[model]).assign(study=study, model=model) for model, rows in models]
    return pd.concat(tables, ignore_index=True)[["study", "model", *tables[0].columns[:-2]]]


def study_cells(records: list[str]) -> pd.DataFrame:
    """Return a row per (study, model, fold, round): how its training ended, its cost, and what it ran on."""
    return pd.concat([Record.read(path).rows() for path in records], ignore_index=True)

"""The study's predictions as metrics, in the columns of every study."""

from pathlib import Path

import numpy as np
import pandas as pd

from twinbench.files import read_parquet

CONSTANT = "constant"


def collect_predictions(files: list[Path], nets: list[str]) -> pd.DataFrame:
    """Return the predictions of all training jobs, with the ``model`` in front.

    Args:
        files: what `train.train_rounds` wrote, one a job.
        nets: the net of each file.
    """
    tables = [read_parquet(path).assign(model=net) for path, net in zip(files, nets, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    return table[["model", *table.columns.drop("model")]]


def scratch_metrics(predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return study, model, fold, round, split, metric, value of every net and of the majority class.

    Args:
        predictions: as `collect_predictions` returns them; the split ``grid`` is no data and is left out.
        labels: the disc's points, for the majority class of each round's training points.

    Metrics: ``accuracy``, of the sign of the output, and ``loss``, its mean squared distance from +1 or −1.
    """
    scored = predictions[predictions["split"] != "grid"]
    target = 2.0 * scored["label"] - 1
    scored = scored.assign(
        accuracy=((scored["output"] > 0) == (target > 0)).astype(float), loss=(scored["output"] - target) ** 2
    )
    means = scored.groupby(["model", "round", "split"], sort=False)[["accuracy", "loss"]].mean().reset_index()
    tidy = means.melt(["model", "round", "split"], var_name="metric", value_name="value")
    tidy = pd.concat([tidy, _majority(labels)], ignore_index=True)
    tidy.insert(0, "study", "scratch")
    tidy.insert(2, "fold", "all")
    return tidy


def _majority(points: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of the training points' majority label on every round and split."""
    rows = []
    for round_, table in points.groupby("round"):
        majority = table.loc[table["split"] == "train", "label"].mean() > 0.5
        for split, part in table.groupby("split", sort=False):
            accuracy = np.mean(part["label"] == majority)
            rows.append(
                {"model": CONSTANT, "round": round_, "split": split, "metric": "accuracy", "value": float(accuracy)}
            )
    return pd.DataFrame(rows)

"""The constant baseline: the majority class of the training pairs, whatever the images show."""

import numpy as np
import pandas as pd

from twinbench.data.pairs import assign_splits
from twinbench.evaluation.columns import TRUTH, complete


def predict_majority(pairs: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return the constant baseline's predictions: the training split's share of left ≤ right, for every pair.

    The columns are those of every prediction file; the majority class is the sign of the constant logit.
    """
    assigned = assign_splits(pairs, fold)
    tables = []
    for _, table in assigned.groupby("round"):
        targets = table.loc[table["split"] == "train", "target"]
        # A tiny split may hold one class only; half a pair of the other keeps the logit finite.
        share = targets.mean().clip(0.5 / len(targets), 1 - 0.5 / len(targets))
        logit = np.float32(np.log(share) - np.log1p(-share))
        tables.append(
            table[TRUTH].assign(fold=fold, **complete({"target_logit": np.full(len(table), logit)}, len(table)))
        )
    return pd.concat(tables, ignore_index=True)

"""From the disc's points to the tensors of `train`."""

import numpy as np
import pandas as pd
import torch

from twinbench.scratch.disc import grid, inside
from twinbench.scratch.train import Examples


def disc_examples(points: pd.DataFrame, standardise: bool) -> dict[int, dict[str, Examples]]:
    """Return the splits of every round in the table of points, and the grid as a split of its own.

    Args:
        points: as `disc.draw_points` returns them.
        standardise: give coordinates the mean 0 and the standard deviation 1 of the round's own training points;
            otherwise they stay in [0, 1].
    """
    return {int(round_): _round(table, standardise) for round_, table in points.groupby("round")}


def _round(table: pd.DataFrame, standardise: bool) -> dict[str, Examples]:
    raw = {
        split: (rows[["x", "y"]].to_numpy(), rows["label"].to_numpy())
        for split, rows in table.groupby("split", sort=False)
    }
    raw["grid"] = (grid(), inside(grid()))
    train = raw["train"][0]
    mean, deviation = (train.mean(axis=0), train.std(axis=0)) if standardise else (0.0, 1.0)
    return {
        split: Examples(
            inputs=torch.tensor((points - mean) / deviation, dtype=torch.float32),
            targets=torch.tensor(np.where(labels, 1.0, -1.0), dtype=torch.float32).unsqueeze(1),
        )
        for split, (points, labels) in raw.items()
    }

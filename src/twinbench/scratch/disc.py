"""The disc task: points of the unit square, and whether they lie in a disc of half its area. Never imports torch."""

import math

import numpy as np
import pandas as pd

from twinbench.seeds import derive_seed

CENTRE, RADIUS = 0.5, 1 / math.sqrt(2 * math.pi)  # π · RADIUS² = 1/2
GRID = 101  # points along each side of the grid on which the learned boundary is drawn


def inside(points: np.ndarray) -> np.ndarray:
    """Return (N,) bool, whether points (N, 2) lie in the disc."""
    return ((points - CENTRE) ** 2).sum(-1) <= RADIUS**2


def draw_points(counts: dict[str, int], *, seed: int, rounds: range, purpose: str = "points") -> pd.DataFrame:
    """Draw the points of some rounds, uniform on [0, 1]².

    Args:
        counts: points a split.
        seed: base of the seeds; every round and split has its own, so they do not depend on each other.
        rounds: the rounds to draw.
        purpose: axis of the seed; the study's own points and those of tuning never mix.

    Returns:
        A row a point: round, split, point (number inside its split), x, y, label (1 inside the disc).
    """
    tables = []
    for round_ in rounds:
        for split, count in counts.items():
            rng = np.random.default_rng(derive_seed(seed, study="scratch", round=round_, split=split, purpose=purpose))
            points = rng.random((count, 2))
            columns = {"round": np.int32(round_), "split": split, "point": np.arange(count, dtype=np.int32)}
            columns |= {"x": points[:, 0], "y": points[:, 1], "label": inside(points).astype(np.int8)}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def grid() -> np.ndarray:
    """Return (GRID², 2) regular points of the unit square, x running fastest."""
    side = np.linspace(0, 1, GRID)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

"""The task of the from-scratch framework: does a point of the unit square lie in a disc of half its area?

Never imports torch.
"""

import math

import numpy as np
import pandas as pd

from twinbench.seeds import derive_seed
from twinbench.tasks.tables import examples

NUMBER = "point"  # the column that counts the points of a split
TRUTH = ["round", "split", "point", "x", "y", "target"]  # what a prediction is compared with
CENTRE, RADIUS = 0.5, 1 / math.sqrt(2 * math.pi)  # π · RADIUS² = 1/2
GRID = 101  # points along each side of the grid on which the learned boundary is drawn
SEED_NAME = "scratch"  # all studies and sweeps of the disc see the same points and seeds


def seed_axes(study: str, fold: str) -> dict[str, str]:
    """Return the names that go into the seeds of a training, beside the round."""
    return {"study": SEED_NAME} | ({} if fold == "all" else {"fold": fold})


def inside(points: np.ndarray) -> np.ndarray:
    """Return (N,) bool, whether points (N, 2) lie in the disc."""
    return ((points - CENTRE) ** 2).sum(-1) <= RADIUS**2


def grid() -> np.ndarray:
    """Return (GRID², 2) regular points of the unit square, x running fastest."""
    side = np.linspace(0, 1, GRID)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def draw(
    rounds: range, *, counts: dict[str, int], folds: int | None, seed: int, study: str = SEED_NAME,
    fixed_data: bool = False, validation_from: str = "train", purpose: str = "points",
) -> pd.DataFrame:  # fmt: skip
    """Draw the points of some rounds, uniform on [0, 1]²; a split ``grid`` of regular points follows in each round.

    Args as in `pairs.draw`, but:
        seed: base of the seeds; every round and split has its own, so they do not depend on each other.
        study, validation_from: play no part: all studies of the disc see the same points, and points have no parts.
        purpose: axis of the seed; the study's own points and those of tuning never mix.

    Returns:
        A row per point: round, split, point (number inside its split), x, y, target (1 inside the disc), fold (of a
        training point; -1 for none). The split ``grid`` serves figures only: it neither trains nor evaluates.
    """
    tables = []
    for round_ in rounds:
        axes = {"study": SEED_NAME, "round": 0 if fixed_data else round_, "purpose": purpose}
        drawn = {
            split: np.random.default_rng(derive_seed(seed, split=split, **axes)).random((count, 2))
            for split, count in counts.items()
        }
        for split, points in (drawn | {"grid": grid()}).items():
            columns = {"x": points[:, 0], "y": points[:, 1], "target": inside(points).astype(np.int8)}
            tables.append(examples(round_, split, NUMBER, folds, columns))
    return pd.concat(tables, ignore_index=True)

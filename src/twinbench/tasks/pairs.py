"""The task of the reports: is the class of a pair's left image ≤ that of its right image? Never imports torch."""

import numpy as np
import pandas as pd

from twinbench.seeds import derive_seed
from twinbench.tasks.tables import SPLITS, examples

NUMBER = "pair"  # the column that counts the pairs of a split
TRUTH = ["round", "split", "pair", "left_digit", "right_digit", "target"]  # what a prediction is compared with


def seed_axes(study: str, fold: str) -> dict[str, str]:
    """Return the names that go into the seeds of a training, beside the round."""
    return {"study": study, "fold": fold}


def draw(
    rounds: range, *, labels: dict[str, np.ndarray], counts: dict[str, int], folds: int | None, seed: int, study: str,
    fixed_data: bool = False, validation_from: str = "train",
) -> pd.DataFrame:  # fmt: skip
    """Draw the pairs of some rounds: distinct images, training pairs from the training part, test pairs from the other.

    Args:
        labels: classes of the images of the data set's parts ``train`` and ``test``, (n,) each.
        counts: pairs per split, e.g. ``{"train": 1000, "validation": 0, "test": 1000}``.
        folds: number of cross-validation folds of the training pairs; None for no cross-validation.
        seed, study: axes of the seed; each round has its own, so a round's pairs do not depend on the others.
        fixed_data: whether every round has the pairs of round 0.
        validation_from: the part that validation pairs are drawn from, ``train`` or ``test``.

    Returns:
        A row per pair: round, split, pair (number inside its split), part of the data set, left_index and right_index
        into it, left_digit, right_digit (classes), target (left ≤ right), fold (of a training pair; -1 for none).
    """
    tables = []
    parts = {"train": "train", "validation": validation_from, "test": "test"}
    for round_ in rounds:
        drawn_round = 0 if fixed_data else round_
        rng = np.random.default_rng(derive_seed(seed, study=study, round=drawn_round, purpose="pairs"))
        sides = {}
        for part in ("train", "test"):
            splits = [part, *(split for split in counts if parts[split] == part != split)]
            ends = np.cumsum([counts[split] for split in splits])
            drawn = rng.choice(len(labels[part]), 2 * ends[-1], replace=False)
            left, right = (np.split(side, ends[:-1]) for side in np.split(drawn, 2))
            sides |= dict(zip(splits, zip(left, right, strict=True), strict=True))
        for split in SPLITS:
            (left, right), classes = sides[split], labels[parts[split]]
            columns = {
                "part": parts[split],
                "left_index": left.astype(np.int32),
                "right_index": right.astype(np.int32),
                "left_digit": classes[left].astype(np.int8),
                "right_digit": classes[right].astype(np.int8),
                "target": (classes[left] <= classes[right]).astype(np.int8),
            }
            tables.append(examples(round_, split, NUMBER, folds, columns))
    return pd.concat(tables, ignore_index=True)

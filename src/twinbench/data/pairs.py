"""Seeded pair tables: which two digits make a pair, and in which split and fold the pair is."""

import numpy as np
import pandas as pd

from twinbench.seeds import derive_seed

SPLITS = ("train", "validation", "test")


def draw_pairs(
    labels: dict[str, np.ndarray], counts: dict[str, int], folds: int | None, *, seed: int, study: str, rounds: range,
    fixed_data: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Draw the pairs of some rounds: distinct digits, training and validation pairs from MNIST's train part.

    Args:
        labels: ``train`` (60000,) and ``test`` (10000,) digit classes.
        counts: pairs a split, e.g. ``{"train": 1000, "validation": 0, "test": 1000}``.
        folds: number of cross-validation folds of the training pairs; None for no cross-validation.
        seed, study: axes of the seed; each round has its own, so a round's pairs do not depend on the others.
        rounds: the rounds to draw.
        fixed_data: whether every round has the pairs of round 0.

    Returns:
        A row a pair: round, split, pair (number inside its split), left_index and right_index into MNIST's train or
        test part, left_digit, right_digit, target (left ≤ right), fold (of a training pair; -1 for none).
    """
    tables = []
    for round_ in rounds:
        drawn_round = 0 if fixed_data else round_
        rng = np.random.default_rng(derive_seed(seed, study=study, round=drawn_round, purpose="pairs"))
        drawn = {
            "train": rng.choice(len(labels["train"]), 2 * (counts["train"] + counts["validation"]), replace=False),
            "test": rng.choice(len(labels["test"]), 2 * counts["test"], replace=False),
        }
        left, right = np.split(drawn["train"], 2)
        sides = {
            "train": (left[: counts["train"]], right[: counts["train"]]),
            "validation": (left[counts["train"] :], right[counts["train"] :]),
            "test": np.split(drawn["test"], 2),
        }
        for split in SPLITS:
            digits = labels["test" if split == "test" else "train"]
            left, right = sides[split]
            number = np.arange(len(left), dtype=np.int32)
            # The draw is random already, so folds are plain runs of pair numbers.
            fold = number * folds // len(left) if folds and split == "train" else np.full_like(number, -1)
            tables.append(
                pd.DataFrame(
                    {
                        "round": np.int32(round_),
                        "split": split,
                        "pair": number,
                        "left_index": left.astype(np.int32),
                        "right_index": right.astype(np.int32),
                        "left_digit": digits[left].astype(np.int8),
                        "right_digit": digits[right].astype(np.int8),
                        "target": (digits[left] <= digits[right]).astype(np.int8),
                        "fold": fold.astype(np.int16),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def assign_splits(pairs: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return ``pairs`` as fold ``fold`` sees them: its own training pairs become the validation split.

    ``fold`` is a number as text, or ``all``, which leaves the table as it is.
    """
    if fold == "all":
        return pairs
    held_out = pairs["fold"] == int(fold)
    return pairs.assign(split=pairs["split"].mask(held_out, "validation"))


def parse_rounds(block: str) -> range:
    """Return the rounds of a block: ``"8-15"`` → ``range(8, 16)``."""
    first, last = block.split("-")
    return range(int(first), int(last) + 1)

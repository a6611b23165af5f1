"""Tables of examples: which split and fold a row belongs to. Never imports torch."""

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")


def examples(round_: int, split: str, number: str, folds: int | None, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return a table of N examples: round, split, their number in the column ``number``, ``columns`` (N,) and fold.

    Without folds, and outside the training split, the fold is -1.
    """
    count = len(columns["target"])
    numbers = np.arange(count, dtype=np.int32)
    # The examples are drawn at random already, so equal runs of their numbers can be the folds.
    fold = numbers * folds // count if folds and split == "train" else np.full_like(numbers, -1)
    table = {"round": np.int32(round_), "split": split, number: numbers, **columns, "fold": fold.astype(np.int16)}
    return pd.DataFrame(table)


def assign_splits(table: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return a table as a fold sees it: its part of the training examples is the validation split; ``all`` has none."""
    if fold == "all":
        return table
    held_out = table["fold"] == int(fold)
    return table.assign(split=table["split"].mask(held_out, "validation"))


def take_first(table: pd.DataFrame, number: str, train: int | None) -> pd.DataFrame:
    """Return a table with the first ``train`` training examples by their ``number`` column; None takes all."""
    if train is None:
        return table
    return table[(table["split"] != "train") | (table[number] < train)]

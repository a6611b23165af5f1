"""From a pair table and the pooled digits to the tensors that a training job works on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from twinbench.data.pairs import SPLITS, assign_splits
from twinbench.files import read_tensors


@dataclass(frozen=True)
class Split:
    """The pairs of one split of one round, on one device. Shapes: N pairs."""

    pairs: Tensor  # (N, 2, 14, 14) float32, standardised
    target: Tensor  # (N,) int64, 1 where left ≤ right
    digits: Tensor  # (N, 2) int64

    def take(self, order: Tensor) -> "Split":
        """Return the pairs in the order of the indices (N,)."""
        return Split(self.pairs[order], self.target[order], self.digits[order])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield consecutive batches of pairs, targets and digits."""
        yield from zip(self.pairs.split(size), self.target.split(size), self.digits.split(size), strict=True)


def join(splits: list[Split]) -> Split:
    """Return the pairs of several splits as one, one split's after the other's."""
    return Split(*(torch.cat(parts) for parts in zip(*((s.pairs, s.target, s.digits) for s in splits), strict=True)))


def load_splits(digits: Path, pairs: pd.DataFrame, fold: str, device: torch.device) -> dict[int, dict[str, Split]]:
    """Return the non-empty splits of every round in the pair table, as fold ``fold`` sees them.

    Grey levels are standardised with the mean and standard deviation of the round's own training split.
    """
    pool = read_tensors(digits)
    return {
        int(round_): _standardised(pool, assign_splits(table, fold), device) for round_, table in pairs.groupby("round")
    }


def _standardised(pool: dict[str, Tensor], table: pd.DataFrame, device: torch.device) -> dict[str, Split]:
    raw = {}
    for split in SPLITS:
        rows = table[table["split"] == split]
        if len(rows):
            images = pool["test_images" if split == "test" else "train_images"]
            index = torch.tensor(rows[["left_index", "right_index"]].to_numpy(), dtype=torch.int64)
            raw[split] = (images[index], rows)
    deviation, mean = torch.std_mean(raw["train"][0])
    return {
        split: Split(
            pairs=((images - mean) / deviation).to(device),
            target=torch.tensor(rows["target"].to_numpy(), dtype=torch.int64, device=device),
            digits=torch.tensor(rows[["left_digit", "right_digit"]].to_numpy(), dtype=torch.int64, device=device),
        )
        for split, (images, rows) in raw.items()
    }

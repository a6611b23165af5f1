"""Turn a table of examples into the tensors that a training works on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from twinbench.spec.training import Inputs
from twinbench.tasks import task_of
from twinbench.tasks.tables import SPLITS, assign_splits, take_first


@dataclass(frozen=True)
class Split:
    """The examples of one split of one round, on one device. Shapes: N examples."""

    inputs: Tensor  # pairs (N, 2, 14, 14) or points (N, 2), float32, scaled
    target: Tensor  # (N,) int64, 1 where left ≤ right, or inside the disc
    digits: Tensor  # (N, 2) int64; -1 for points

    def take(self, order: Tensor) -> "Split":
        """Return the examples in the order of the indices (N,)."""
        return Split(self.inputs[order], self.target[order], self.digits[order])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield consecutive batches of inputs, targets and digits."""
        yield from zip(self.inputs.split(size), self.target.split(size), self.digits.split(size), strict=True)


def join(splits: list[Split]) -> Split:
    """Return the examples of several splits as one, one split's after the other's."""
    return Split(*(torch.cat(parts) for parts in zip(*((s.inputs, s.target, s.digits) for s in splits), strict=True)))


def load_splits(
    inputs: Inputs, images: dict[str, Tensor], table: pd.DataFrame, fold: str, device: torch.device,
    wanted: Collection[str] | None = None,
) -> dict[int, dict[str, Split]]:  # fmt: skip
    """Return the non-empty splits of every round in a table, as fold ``fold`` sees them, in the table's order.

    Args:
        inputs: the task, the scaling, and how many training examples the model takes.
        images: pooled images by part (`data.images.write_images`); empty for the disc.
        table: examples (`tasks.draw`).
        fold: a number as text, or ``all``.
        wanted: the splits to return, the training split among them; None for all.
    """
    table = take_first(assign_splits(table, fold), task_of(inputs.task).NUMBER, inputs.train_pairs)
    table = table if wanted is None else table[table["split"].isin(wanted)]
    return {int(round_): _splits(inputs, images, rows, device) for round_, rows in table.groupby("round")}


def _splits(inputs: Inputs, images: dict[str, Tensor], table: pd.DataFrame, device: torch.device) -> dict[str, Split]:
    """Return the splits of one round, in the order of `SPLITS`.

    One mean and one deviation, of all pixels of the training pairs or of the split's own, scale the grey levels. Each
    coordinate of a point has its own mean and deviation, over the points and in float64.
    """
    rows, points = dict(list(table.groupby("split"))), inputs.task == "disc"

    def integers(split: str, columns: str | list[str]) -> Tensor:
        return torch.tensor(rows[split][columns].to_numpy(), dtype=torch.int64)

    def values(split: str) -> Tensor | np.ndarray:
        if points:
            return rows[split][["x", "y"]].to_numpy()
        return images[f"{rows[split]['part'].iloc[0]}_images"][integers(split, ["left_index", "right_index"])]

    def moments(split: str) -> tuple[Tensor | np.ndarray, Tensor | np.ndarray]:
        found = values(split)
        return (found.mean(axis=0), found.std(axis=0)) if points else torch.std_mean(found)[::-1]

    mean, deviation = moments("train") if inputs.scaling == "training" else (0.0, 1.0)
    splits = {}
    for split in sorted(rows, key=[*SPLITS, *rows].index):
        if inputs.scaling == "split":
            mean, deviation = moments(split)
        scaled = torch.as_tensor((values(split) - mean) / deviation, dtype=torch.float32)
        target = integers(split, "target")
        digits = torch.full((len(target), 2), -1) if points else integers(split, ["left_digit", "right_digit"])
        splits[split] = Split(scaled.to(device), target.to(device), digits.to(device))
    return splits

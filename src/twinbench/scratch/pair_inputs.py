"""From digit pairs to the tensors of `train`: both images side by side as 392 features."""

from pathlib import Path

import pandas as pd
import torch

from twinbench.data.tensors import load_splits
from twinbench.scratch.train import Examples


def pair_examples(digits: Path, pairs: pd.DataFrame) -> dict[int, dict[str, Examples]]:
    """Return the splits of every round in the pair table; the label is left ≤ right.

    Args:
        digits: pooled digits (`data.mnist.write_digits`).
        pairs: as `data.pairs.draw_pairs` returns them.
    """
    data = load_splits(digits, pairs, "all", torch.device("cpu"))
    return {
        round_: {
            name: Examples(inputs=split.pairs.flatten(1), targets=(2.0 * split.target - 1).unsqueeze(1))
            for name, split in splits.items()
        }
        for round_, splits in data.items()
    }

"""Checkpoints: a long training job that was killed goes on from its last one; on a processor bit-identically.

Every epoch starts from a seed of its own (`replicas`), so there is no generator state to keep. A checkpoint holds
weights, best weights, the optimiser's moments, early stopping and the history so far.
"""

import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from twinbench.files import whole


class Checkpoint:
    """One job's checkpoint file, written when ``interval`` seconds have passed since the last one.

    Args:
        path: safetensors file; the progress is JSON in its header. No rule declares it, since Snakemake would
            delete it before the job starts again.
        key: returns what the training depends on; a file with another key is not used. It reads all inputs, so it is
            called only if there is a file to compare or to write, which short jobs do without.
        interval: seconds between checkpoints; jobs shorter than that write none.
    """

    def __init__(self, path: Path, key: Callable[[], str], interval: float = 60.0):
        self.path, self.key, self.interval = path, cache(key), interval
        self.last = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time for the next checkpoint."""
        return time.monotonic() - self.last >= self.interval

    def save(self, tensors: dict[str, Tensor], progress: dict) -> None:
        """Write tensors and progress (arrays become lists) in place of the last checkpoint, never half-written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.path) as path:
            # Copies, since layers may share a tensor, which safetensors refuses.
            copies = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
            save_file(copies, path, {"key": self.key(), "progress": json.dumps(progress, default=np.ndarray.tolist)})
        self.last = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """Return tensors and progress of the last checkpoint; None if there is none of this training."""
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key():
                    return None
                names = file.keys()
                return {name: file.get_tensor(name) for name in names}, json.loads(metadata["progress"])
        except (OSError, SafetensorError):
            return None  # none, or not a whole one: the training starts from the beginning

    def remove(self) -> None:
        """Delete the file: the training is done."""
        self.path.unlink(missing_ok=True)


def training_key(cell: dict, code: str, *files: Path) -> str:
    """Return a digest of what a training depends on: its slice of the config, the code, and its inputs' content."""
    parts = [json.dumps(cell, sort_keys=True), code]
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

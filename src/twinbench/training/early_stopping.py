"""Early stopping on the validation loss, for many replicas at once."""

import numpy as np


class EarlyStopping:
    """Remember each replica's best epoch and say when its patience is over. Shapes: R replicas.

    A replica stops after ``patience`` epochs in a row without a validation loss below its lowest one.
    """

    def __init__(self, replicas: int, patience: int):
        self.patience = patience
        self.best_loss = np.full(replicas, np.inf)
        self.best_epoch = np.zeros(replicas, dtype=int)

    def update(self, epoch: int, loss: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take the validation losses (R,) after ``epoch`` and return two masks (R,): improved, and now stopping."""
        improved = active & (loss < self.best_loss)
        self.best_loss[improved] = loss[improved]
        self.best_epoch[improved] = epoch
        return improved, active & (epoch - self.best_epoch >= self.patience)

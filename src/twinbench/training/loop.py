"""The one training loop: epochs, early stopping, divergence and history, for every study and device."""

import logging
import time
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from twinbench.training.checkpoint import Checkpoint
from twinbench.training.replicas import Replicas

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """How the training of R replicas went, and how it ended."""

    status: list[str]  # ok or diverged
    reason: list[str]  # why it stopped, in words
    epochs: np.ndarray  # (R,) epochs trained
    best_epoch: np.ndarray  # (R,) epoch whose weights were kept
    train_seconds: np.ndarray  # (R,) in training steps
    evaluate_seconds: float = 0.0  # of all replicas together, in the evaluations after each epoch
    history: list[dict] = field(default_factory=list)  # replica, epoch, split, losses, accuracies, seconds


class EarlyStopping:
    """Remember each replica's lowest validation loss and its epoch, and say when its patience is over. R replicas.

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


def fit(replicas: Replicas, splits: list[str], checkpoint: Checkpoint | None = None) -> Outcome:
    """Train all replicas as ``replicas.training`` says: for all epochs, or until early stopping.

    Every split is evaluated after every epoch, for the record; only the validation loss decides anything. A replica
    whose training loss is not finite stops as ``diverged``. With a checkpoint, a killed training goes on from the last
    one.
    """
    count = len(replicas.data)
    epochs_done, active, first = np.zeros(count, dtype=int), np.ones(count, dtype=bool), 1
    outcome = Outcome(["ok"] * count, ["all epochs done"] * count, epochs_done, epochs_done.copy(), np.zeros(count))
    epochs, early_stopping = replicas.training.epochs, replicas.training.early_stopping
    stopping = EarlyStopping(count, early_stopping.patience) if early_stopping else None
    if checkpoint and (saved := checkpoint.load()):
        tensors, progress = saved
        replicas.resume(tensors)
        _take_over(outcome, progress["outcome"])
        _take_over(stopping, progress["stopping"])
        active, first = np.array(progress["active"]), progress["epoch"] + 1
        log.info("resumed after epoch %d", progress["epoch"])
    began = time.perf_counter()
    for epoch in range(first, epochs + 1):
        if not active.any():
            break
        outcome.train_seconds += replicas.train_epoch(epoch, active)
        evaluating = time.perf_counter()
        scores = {split: replicas.evaluate(split, epoch, active) for split in splits}
        outcome.evaluate_seconds += time.perf_counter() - evaluating
        for split, r in product(splits, np.flatnonzero(active).tolist()):
            row = {"replica": r, "epoch": epoch, "split": split, **scores[split][r]}
            outcome.history.append(row | {"seconds": float(outcome.train_seconds[r])})
        _log_epoch(epoch, epochs, scores, (time.perf_counter() - began) / (epoch - first + 1))
        outcome.epochs[active] = epoch
        active = _still_active(outcome, epoch, scores, active, stopping, replicas)
        if checkpoint and checkpoint.due():
            progress = {"epoch": epoch, "active": active, "outcome": vars(outcome)}
            checkpoint.save(replicas.checkpoint(), progress | {"stopping": vars(stopping) if stopping else {}})
    outcome.best_epoch = stopping.best_epoch if stopping else outcome.epochs
    return outcome


def _still_active(
    outcome: Outcome, epoch: int, scores: dict[str, list[dict]], active: np.ndarray, stopping: EarlyStopping | None,
    replicas: Replicas,
) -> np.ndarray:  # fmt: skip
    """Return which replicas (mask (R,)) go on; note why the others stop, and keep the weights of improved ones."""
    finite = np.array([np.isfinite(score.get("loss", 0)) for score in scores["train"]])
    for r in np.flatnonzero(active & ~finite):
        outcome.status[r], outcome.reason[r] = "diverged", f"training loss not finite after epoch {epoch}"
    active = active & finite
    if stopping:
        losses = np.array([score.get("loss", np.inf) for score in scores["validation"]])
        improved, ended = stopping.update(epoch, losses, active)
        replicas.keep_best(improved)
        for r in np.flatnonzero(ended):
            outcome.reason[r] = f"no lower validation loss for {stopping.patience} epochs"
        active = active & ~ended
    return active


def _take_over(state: object, progress: dict) -> None:
    """Put an object's values back from a checkpoint, which holds arrays as lists; JSON keeps float64 exactly."""
    for name, value in progress.items():
        setattr(state, name, np.array(value) if isinstance(getattr(state, name), np.ndarray) else value)


def _log_epoch(epoch: int, epochs: int, scores: dict[str, list[dict]], seconds: float) -> None:
    """Log the means over the active replicas and, from the seconds of an epoch, the time left if none stops early."""
    parts = []
    for split, of_replicas in scores.items():
        active = [score for score in of_replicas if score]
        loss, accuracy = (np.mean([score[key] for score in active]) for key in ("loss", "accuracy"))
        parts.append(f"{split} loss {loss:.4f} accuracy {accuracy:.1%}")
    log.info(
        "epoch %d/%d, %d training: %s; %.2f s per epoch, %.1f s left",
        epoch, epochs, len(active), ", ".join(parts), seconds, seconds * (epochs - epoch),
    )  # fmt: skip

"""The one training loop: epochs, early stopping, divergence and history, for every study and device."""

import logging
import time
from dataclasses import dataclass, field

import numpy as np

from twinbench.training.checkpoint import Checkpoint
from twinbench.training.early_stopping import EarlyStopping
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

    @classmethod
    def of(cls, count: int) -> "Outcome":
        """Return the outcome of ``count`` replicas before the first epoch."""
        zeros = np.zeros(count, dtype=int)
        return cls(["ok"] * count, ["all epochs done"] * count, zeros, zeros.copy(), np.zeros(count))


def fit(replicas: Replicas, splits: list[str], checkpoint: Checkpoint | None = None) -> Outcome:
    """Train all replicas as ``replicas.training`` says: for all epochs, or until early stopping.

    Every split is evaluated after every epoch, for the record; only the validation loss decides anything. A replica
    whose training loss is not finite stops as ``diverged``. With a checkpoint, a killed training goes on from the last
    one.
    """
    count = len(replicas.data)
    outcome, active, first = Outcome.of(count), np.ones(count, dtype=bool), 1
    epochs, early_stopping = replicas.training["epochs"], replicas.training["early_stopping"]
    stopping = EarlyStopping(count, early_stopping["patience"]) if early_stopping else None
    if checkpoint and (saved := checkpoint.load()):
        tensors, progress = saved
        replicas.resume(tensors)
        active = _take_over(progress, outcome, stopping)
        first = progress["epoch"] + 1
        log.info("resumed after epoch %d", progress["epoch"])
    began = time.perf_counter()
    for epoch in range(first, epochs + 1):
        if not active.any():
            break
        outcome.train_seconds += replicas.train_epoch(epoch, active)
        evaluating = time.perf_counter()
        scores = {split: replicas.evaluate(split, epoch, active) for split in splits}
        outcome.evaluate_seconds += time.perf_counter() - evaluating
        _record(outcome, epoch, scores, active)
        _log_epoch(epoch, epochs, scores, active, (time.perf_counter() - began) / (epoch - first + 1))
        outcome.epochs[active] = epoch
        active = _still_active(outcome, epoch, scores, active, stopping, replicas)
        if checkpoint and checkpoint.due():
            checkpoint.save(replicas.checkpoint(), _progress(epoch, outcome, active, stopping))
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


def _progress(epoch: int, outcome: Outcome, active: np.ndarray, stopping: EarlyStopping | None) -> dict:
    """Return all that is not a tensor, as JSON can hold it; JSON keeps float64 exactly."""
    progress = {"epoch": epoch, "active": active.tolist(), "outcome": _plain(vars(outcome))}
    if stopping:
        progress["stopping"] = {"loss": stopping.best_loss.tolist(), "epoch": stopping.best_epoch.tolist()}
    return progress


def _take_over(progress: dict, outcome: Outcome, stopping: EarlyStopping | None) -> np.ndarray:
    """Put what `_progress` returned back; return the mask (R,) of active replicas."""
    for name, value in progress["outcome"].items():
        is_array = isinstance(getattr(outcome, name), np.ndarray)
        setattr(outcome, name, np.array(value) if is_array else value)
    if stopping:
        stopping.best_loss = np.array(progress["stopping"]["loss"])
        stopping.best_epoch = np.array(progress["stopping"]["epoch"])
    return np.array(progress["active"])


def _plain(values: dict) -> dict:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _record(outcome: Outcome, epoch: int, scores: dict[str, list[dict]], active: np.ndarray) -> None:
    for split, of_replicas in scores.items():
        for r in np.flatnonzero(active):
            row = {"replica": int(r), "epoch": epoch, "split": split, **of_replicas[r]}
            outcome.history.append(row | {"seconds": float(outcome.train_seconds[r])})


def _log_epoch(epoch: int, epochs: int, scores: dict[str, list[dict]], active: np.ndarray, seconds: float) -> None:
    """Log the means over the active replicas and, from the seconds of an epoch, the time left if none stops early."""
    parts = []
    for split, of_replicas in scores.items():
        loss, accuracy = (
            np.mean([of_replicas[r][key] for r in np.flatnonzero(active)]) for key in ("loss", "accuracy")
        )
        parts.append(f"{split} loss {loss:.4f} accuracy {accuracy:.1%}")
    log.info(
        "epoch %d/%d, %d training: %s; %.2f s an epoch, %.1f s left",
        epoch, epochs, active.sum(), ", ".join(parts), seconds, seconds * (epochs - epoch),
    )  # fmt: skip

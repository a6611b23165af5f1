"""The one training loop: epochs, early stopping, divergence and history, for every study and device."""

import logging
import time
from dataclasses import dataclass, field

import numpy as np

from twinbench.training.early_stopping import EarlyStopping
from twinbench.training.replicas import LoopReplicas

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """How the training of R replicas ended."""

    status: list[str]  # ok or diverged
    reason: list[str]  # why it stopped, in words
    epochs: np.ndarray  # (R,) epochs trained
    best_epoch: np.ndarray  # (R,) epoch whose weights were kept
    train_seconds: np.ndarray  # (R,) in training steps
    evaluate_seconds: float = 0.0  # of all replicas together, in the evaluations after each epoch
    history: list[dict] = field(default_factory=list)  # replica, epoch, split, losses, accuracies, seconds


def fit(replicas: LoopReplicas, splits: list[str], epochs: int, patience: int | None) -> Outcome:
    """Train all replicas for ``epochs`` epochs, or until the validation loss has not fallen for ``patience`` of them.

    Every split is evaluated after every epoch, for the record; only the validation loss decides anything. A replica
    whose training loss is not finite stops as ``diverged``.
    """
    count = len(replicas.data)
    active = np.ones(count, dtype=bool)
    outcome = Outcome(
        ["ok"] * count, ["all epochs done"] * count, np.zeros(count, int), np.zeros(count, int), np.zeros(count)
    )
    stopping = EarlyStopping(count, patience) if patience else None
    began = time.perf_counter()
    for epoch in range(1, epochs + 1):
        outcome.train_seconds += replicas.train_epoch(epoch, active)
        evaluating = time.perf_counter()
        scores = {split: replicas.evaluate(split, active) for split in splits}
        outcome.evaluate_seconds += time.perf_counter() - evaluating
        _record(outcome, epoch, scores, active)
        _log_epoch(epoch, epochs, scores, active, time.perf_counter() - began)
        outcome.epochs[active] = epoch

        finite = np.array([np.isfinite(score.get("loss", 0)) for score in scores["train"]])
        for r in np.flatnonzero(active & ~finite):
            outcome.status[r], outcome.reason[r] = "diverged", f"training loss not finite after epoch {epoch}"
        active = active & finite
        if stopping:
            losses = np.array([score.get("loss", np.inf) for score in scores["validation"]])
            improved, ended = stopping.update(epoch, losses, active)
            replicas.keep_best(improved)
            for r in np.flatnonzero(ended):
                outcome.reason[r] = f"no lower validation loss for {patience} epochs"
            active = active & ~ended
        if not active.any():
            break
    outcome.best_epoch = stopping.best_epoch if stopping else outcome.epochs
    return outcome


def _record(outcome: Outcome, epoch: int, scores: dict[str, list[dict]], active: np.ndarray) -> None:
    for split, of_replicas in scores.items():
        for r in np.flatnonzero(active):
            row = {"replica": r, "epoch": epoch, "split": split, **of_replicas[r]}
            outcome.history.append(row | {"seconds": outcome.train_seconds[r]})


def _log_epoch(epoch: int, epochs: int, scores: dict[str, list[dict]], active: np.ndarray, elapsed: float) -> None:
    """Log the means over the active replicas, and the time left if no replica stops early."""
    parts = []
    for split, of_replicas in scores.items():
        loss, accuracy = (
            np.mean([of_replicas[r][key] for r in np.flatnonzero(active)]) for key in ("loss", "accuracy")
        )
        parts.append(f"{split} loss {loss:.4f} accuracy {accuracy:.1%}")
    left = elapsed / epoch * (epochs - epoch)
    log.info(
        "epoch %d/%d, %d training: %s; %.1f s gone, %.1f s left",
        epoch, epochs, active.sum(), ", ".join(parts), elapsed, left,
    )  # fmt: skip

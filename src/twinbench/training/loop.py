"""The one training loop: epochs, early stopping, divergence and curves, for every study and device."""

import logging
import time
from dataclasses import dataclass, field

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

    @classmethod
    def of(cls, count: int) -> "Outcome":
        """Return the outcome of ``count`` replicas before their first epoch."""
        epochs = np.zeros(count, dtype=int)
        return cls(["ok"] * count, ["all epochs done"] * count, epochs, epochs.copy(), np.zeros(count))

    def diverge(self, which: np.ndarray, reason: str) -> None:
        """Note that the replicas in the mask (R,) have diverged."""
        for r in np.flatnonzero(which):
            self.status[r], self.reason[r] = "diverged", reason

    @classmethod
    def resumed(cls, progress: dict) -> "Outcome":
        """Return the outcome that a checkpoint holds."""
        outcome = cls.of(len(progress["status"]))
        _take_over(outcome, progress)
        return outcome


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


class Leg:
    """How far the R replicas have come in one leg: in their only training, or in one fold of a chain."""

    def __init__(self, replicas: Replicas):
        count, stopping = len(replicas.assignments), replicas.training.early_stopping
        self.epoch = 0
        self.active = np.array([assignment is not None for assignment in replicas.assignments])
        self.outcome = Outcome.of(count)
        self.stopping = EarlyStopping(count, stopping.patience) if stopping else None

    def progress(self) -> dict:
        """Return everything that changes, for a checkpoint."""
        stopping = vars(self.stopping) if self.stopping else {}
        return {"epoch": self.epoch, "active": self.active, "outcome": vars(self.outcome), "stopping": stopping}

    def resume(self, progress: dict) -> None:
        """Take over what `progress` returned."""
        self.epoch, self.active = progress["epoch"], np.array(progress["active"])
        self.outcome = Outcome.resumed(progress["outcome"])
        _take_over(self.stopping, progress["stopping"])


def fit(replicas: Replicas, checkpoint: Checkpoint | None = None) -> list[Outcome]:
    """Train all replicas as ``replicas.training`` says; return an outcome per leg.

    After each epoch, only the splits that early stopping, passes or curves need are evaluated. Only the validation loss
    decides anything. A replica whose weights are not finite stops as ``diverged``. With a checkpoint, a killed training
    goes on from the last one.
    """
    outcomes: list[Outcome] = []
    leg = None
    if checkpoint and (saved := checkpoint.load()):
        tensors, progress = saved
        outcomes = [Outcome.resumed(done) for done in progress["outcomes"]]
        replicas.begin(len(outcomes))
        leg = Leg(replicas)
        leg.resume(progress["leg"])
        replicas.resume(tensors)
        log.info("resumed after epoch %d", leg.epoch)
    while len(outcomes) < len(replicas.legs):
        if leg is None:
            replicas.begin(len(outcomes))
            leg = Leg(replicas)
        _fit_leg(replicas, leg, checkpoint, outcomes)
        outcomes.append(leg.outcome)
        leg = None
    return outcomes


def _fit_leg(replicas: Replicas, leg: Leg, checkpoint: Checkpoint | None, done: list[Outcome]) -> None:
    epochs, began, first = replicas.training.epochs, time.perf_counter(), leg.epoch + 1
    for epoch in range(first, epochs + 1):
        if not leg.active.any():
            break
        _train_epoch(replicas, leg, epoch)
        seconds = (time.perf_counter() - began) / (epoch - first + 1)
        log.info("epoch %d/%d: %.2f s per epoch, %.1f s left", epoch, epochs, seconds, seconds * (epochs - epoch))
        if checkpoint and checkpoint.due():
            checkpoint.save(replicas.checkpoint(), {"outcomes": list(map(vars, done)), "leg": leg.progress()})
    outcome, stopping = leg.outcome, leg.stopping
    if stopping and replicas.training.early_stopping.restore == "stopped":
        ran_out = outcome.epochs - stopping.best_epoch >= stopping.patience
        replicas.drop_best(~ran_out)
        outcome.best_epoch = np.where(ran_out, stopping.best_epoch, outcome.epochs)
    else:
        outcome.best_epoch = stopping.best_epoch if stopping else outcome.epochs
    replicas.end()


def _train_epoch(replicas: Replicas, leg: Leg, epoch: int) -> None:
    """Train and evaluate the active replicas; note which of them stop, and why."""
    outcome, active = leg.outcome, leg.active
    outcome.train_seconds += replicas.train_epoch(epoch, active)
    evaluating = time.perf_counter()
    scores = {split: replicas.evaluate(split, epoch, active & of) for split, of in replicas.evaluated().items()}
    outcome.evaluate_seconds += time.perf_counter() - evaluating
    for split, of_replicas in scores.items():
        for r, score in enumerate(of_replicas):
            if score:
                row = {"replica": r, "epoch": epoch, "split": split, **score}
                outcome.history.append(row | {"seconds": float(outcome.train_seconds[r])})
    outcome.epochs[active] = leg.epoch = epoch
    finite = replicas.finite(active)
    outcome.diverge(active & ~finite, f"weights not finite after epoch {epoch}")
    leg.active = active & finite
    if leg.stopping:
        losses = np.array([score.get("loss", np.inf) for score in scores["validation"]])
        improved, ended = leg.stopping.update(epoch, losses, leg.active)
        replicas.keep_best(improved)
        for r in np.flatnonzero(ended):
            outcome.reason[r] = f"no lower validation loss for {leg.stopping.patience} epochs"
        leg.active = leg.active & ~ended
    ends = active & finite & (~leg.active | (epoch == replicas.training.epochs))
    if ends.any():  # finite weights may be so large that no output is
        losses = np.array([score.get("loss", 0.0) for score in replicas.evaluate("train", epoch, ends)])
        outcome.diverge(ends & ~np.isfinite(losses), f"training loss not finite after epoch {epoch}")


def _take_over(state: object, progress: dict) -> None:
    """Put an object's values back from a checkpoint, which holds arrays as lists; JSON keeps float64 exactly."""
    for name, value in progress.items():
        setattr(state, name, np.array(value) if isinstance(getattr(state, name), np.ndarray) else value)

"""Our trainings and the plain loops, which take turns when they are timed; a turn is one epoch with its evaluations."""

import time
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.plain import PlainLoop, torch_optimizer
from benchmarks.tasks import Data, Task
from benchmarks.timing import Run, seconds
from benchmarks.work import Convolutions
from twinbench.machine import prepare
from twinbench.spec.training import Optimizer
from twinbench.training import replicas
from twinbench.training.replicas import LoopReplicas, Replicas, ReplicaSeeds
from twinbench.training.stacked import replicas as stacked

STEPS = 10  # whose convolutions alone are timed in a turn


class Ours:
    """Replicas with the methods of `PlainLoop`; together they do one epoch of `loop.fit`."""

    def __init__(self, strategy: type[Replicas], task: Task, data: Data):
        self.replicas = task.replicas(strategy, data, seeds)
        self.replicas.begin(0)
        self.active = np.ones(len(data), dtype=bool)

    @property
    def model(self) -> nn.Module | None:
        """The one model that a loop over one round trains; None of other strategies."""
        return self.replicas.models[0] if isinstance(self.replicas, LoopReplicas) else None

    def train_epoch(self, epoch: int) -> None:
        """Train all replicas for one epoch."""
        self.replicas.train_epoch(epoch, self.active)

    def evaluate(self, epoch: int) -> dict[str, list[dict[str, float]]]:
        """Return the scores of all replicas on every split that the task evaluates."""
        return {split: self.replicas.evaluate(split, epoch, of) for split, of in self.replicas.evaluated().items()}


def seeds(replica: int) -> ReplicaSeeds:
    """Return the seeds of a replica."""
    return ReplicaSeeds(replica, lambda epoch: 1000 * replica + epoch, lambda epoch, split: epoch)


class TorchOptimizer:
    """torch.optim as it comes, with what our loop asks of an optimiser."""

    def __init__(self, parameters: Iterable[Tensor], settings: Optimizer):
        self.lr, self.optimizer = settings.lr, torch_optimizer(parameters, settings)

    def step(self) -> None:
        """Update the parameters and clear the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.step()
        self.optimizer.zero_grad()


def plain(loader: bool, task: Task) -> Callable[[Data], PlainLoop]:
    """Set this process up as a plain script does; return what makes its training."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return lambda data: PlainLoop(task, data[0], loader)


def job(strategy: type[Replicas], task: Task, without: str = "") -> Callable[[Data], Ours]:
    """Set this process up as a training job does; return what makes its training.

    ``without`` takes one of our means away: the ``settings`` of memory and denormal numbers, the tuned ``layers``, or
    the fused ``optimizer``.
    """
    if without == "settings":
        torch.set_num_threads(1)
    else:
        prepare(threads=1)
    for module in (replicas, stacked):  # in this process alone
        if without == "layers":
            module.tune = lambda model: model
        elif without == "optimizer":
            module.make_optimizer = TorchOptimizer
    return lambda data: Ours(strategy, task, data)


def training(way: Callable[[Task], Callable[[Data], PlainLoop | Ours]], task: Task) -> Run:
    """Return a run of one epoch with its evaluations; its seconds stand for those of a round's whole training.

    What is trained may change in a training, so the turns are epochs spread over it. The run gives seconds per round,
    times the study's epochs: ``train``, ``evaluate``, and both as ``round``; ``convolutions``, those of the training
    steps alone, if a loop trains a model that has some. Loading and building are not in them.
    """
    make = way(task)
    data, epochs = task.load(), task.cell.training.epochs
    trainer, alone = make(data), convolutions(make, data, task.cell.training.batch_size)
    clock = (lambda: torch.cuda.synchronize() or time.perf_counter()) if task.device == "cuda" else time.process_time

    def run(place: float) -> dict[str, float]:
        epoch = 1 + round(place * (epochs - 1))
        parts = {"train": trainer.train_epoch, "evaluate": trainer.evaluate}
        took = {name: seconds(partial(of, epoch), clock) * epochs / task.rounds for name, of in parts.items()}
        took["round"] = sum(took.values())
        if alone:
            steps = seconds(lambda: [alone.run() for _ in range(STEPS)]) / STEPS
            took["convolutions"] = steps * task.steps()
        return took

    return run


def convolutions(make: Callable[[Data], PlainLoop | Ours], data: Data, batch_size: int) -> Convolutions | None:
    """Return the convolutions of a first training step; None without some, or where many rounds are trained."""
    probe = make([{"train": splits["train"].take(torch.arange(batch_size))} for splits in data])
    if len(data) > 1 or probe.model is None:
        return None
    found = Convolutions(probe.model, partial(probe.train_epoch, 1))
    return found if found.calls else None

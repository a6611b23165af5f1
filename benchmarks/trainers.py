"""What takes turns when training is timed: ours and the plain loops, an epoch with its evaluations at a time."""

import time
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.plain import PlainLoop, called, torch_optimizer
from benchmarks.tasks import Task
from benchmarks.timing import Run, seconds
from benchmarks.work import Convolutions
from twinbench.machine import prepare
from twinbench.spec.training import Optimizer
from twinbench.tasks.tensors import Split
from twinbench.training import replicas
from twinbench.training.replicas import LoopReplicas, Replicas, ReplicaSeeds
from twinbench.training.stacked import replicas as stacked

STEPS = 10  # whose convolutions alone are timed in a turn

Data = list[dict[str, Split]]


class Ours:
    """Replicas with the methods of `PlainLoop`; together they do what an epoch of `loop.fit` does.

    Args:
        strategy: of training.
        task, data: what to train.
        branch: what a shared branch sees in a call, an ``image`` or a ``pair``.
    """

    def __init__(self, strategy: type[Replicas], task: Task, data: Data, branch: str = "pair"):
        cell = task.cell
        seeds = [ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 1000 * r + epoch) for r in range(len(data))]

        def build() -> nn.Module:
            return called(task.build(), branch)

        self.replicas = strategy(build, data, seeds, cell.training, cell.objective, cell.decision)
        self.active = np.ones(len(data), dtype=bool)

    @property
    def model(self) -> nn.Module | None:
        """The one model that a loop over one round trains; None of other strategies."""
        return self.replicas.models[0] if isinstance(self.replicas, LoopReplicas) else None

    def train_epoch(self, epoch: int) -> None:
        """Train all replicas for one epoch."""
        self.replicas.train_epoch(epoch, self.active)

    def evaluate(self, split: str, epoch: int) -> None:
        """Evaluate all replicas on a split."""
        self.replicas.evaluate(split, epoch, self.active)


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


def plain(branch: str, task: Task) -> Callable[[Data], PlainLoop]:
    """Set this process up as a plain script does; return what makes its training."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return lambda data: PlainLoop(task.build(), data[0], task.cell, branch)


def job(strategy: type[Replicas], branch: str, task: Task, without: str = "") -> Callable[[Data], Ours]:
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
    return lambda data: Ours(strategy, task, data, branch)


def finished() -> float:
    """Return the time when the GPU has done everything."""
    torch.cuda.synchronize()
    return time.perf_counter()


def training(way: Callable[[Task], Callable[[Data], PlainLoop | Ours]], task: Task) -> Run:
    """Return a run of an epoch and its evaluations; what it took stands for a round's whole training.

    What is trained may change in a training, so the turns are epochs spread over it. The run gives seconds per round,
    times the study's epochs: ``train``; ``evaluate <split>`` of every split; ``convolutions``, those of the training
    steps alone, if a loop trains a model that has some. Loading and building are not in them.
    """
    make = way(task)
    data, epochs = task.load(), task.cell.training.epochs
    trainer, alone = make(data), convolutions(make, data, task.cell.training.batch_size)
    clock = finished if task.device == "cuda" else time.process_time

    def run(place: float) -> dict[str, float]:
        epoch = 1 + round(place * (epochs - 1))
        took = {"train": seconds(partial(trainer.train_epoch, epoch), clock)}
        for split in data[0]:
            took[f"evaluate {split}"] = seconds(partial(trainer.evaluate, split, epoch), clock)
        took = {name: of_part * epochs / task.rounds for name, of_part in took.items()}
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

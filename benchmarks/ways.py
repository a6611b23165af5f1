"""Ways to train a model, each in a process of its own that trains an epoch when it is asked to.

In one process the textbook would profit from what `machine.prepare` sets for ours, and peak memory would be everyone's.
The parent asks one process at a time, so that what else the machine does hits all ways alike, and only one core works.
"""

import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.plain import PlainLoop
from twinbench.architectures.catalog import architectures
from twinbench.files import read_tensors
from twinbench.machine import prepare
from twinbench.spec.training import Cell
from twinbench.tasks import draw
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.replicas import LoopReplicas, Replicas, ReplicaSeeds
from twinbench.training.stacked.replicas import StackedReplicas

MOST = 25  # epochs of a way that are measured
IMAGES = Path("results/images/mnist.safetensors")
PROCESSES = get_context("spawn")  # children start from nothing: no memory or setting is the parent's

Splits = dict[str, Split]


@dataclass(frozen=True)
class Task:
    """What to train."""

    cell: Cell  # what the study says of the model
    examples: dict[str, Any]  # what it says of its pairs (`spec.study.Study.draw`)
    fold: str
    rounds: int = 1  # that ours trains; the plain way trains one

    def build(self) -> nn.Module:
        """Return a new, randomly initialised model."""
        return architectures()[self.cell.architecture].build(**self.cell.options)

    def load(self) -> list[Splits]:
        """Return the splits of every round by name."""
        table = draw(rounds=range(self.rounds), images=IMAGES, **self.examples | {"study": "benchmark"})
        return list(load_splits(self.cell.inputs, read_tensors(IMAGES), table, self.fold, torch.device("cpu")).values())


class Ours:
    """Replicas with the two methods of `PlainLoop`; together they do what an epoch of `loop.fit` does."""

    def __init__(self, strategy: type[Replicas], task: Task, build: Callable[[], nn.Module], data: list[Splits]):
        cell = task.cell
        seeds = [ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 1000 * r + epoch) for r in range(len(data))]
        self.replicas = strategy(build, data, seeds, cell.training, cell.objective, cell.decision)
        self.active = np.ones(len(data), dtype=bool)

    def train_epoch(self, epoch: int) -> None:
        """Train all replicas for one epoch."""
        self.replicas.train_epoch(epoch, self.active)

    def evaluate(self, epoch: int) -> None:
        """Evaluate all replicas on all splits."""
        for split in self.replicas.data[0]:
            self.replicas.evaluate(split, epoch, self.active)


def textbook(task: Task) -> PlainLoop:
    """Set this process up as a textbook's script does, and return its training."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return PlainLoop(task.build(), task.load()[0], task.cell)


def job(strategy: type[Replicas], task: Task) -> Ours:
    """Set this process up as a training job does, and return its training."""
    prepare(threads=1)
    return Ours(strategy, task, task.build, task.load())


Way = Callable[[Task], PlainLoop | Ours]
WAYS: dict[str, Way] = {
    "plain": textbook,
    "loop": partial(job, LoopReplicas),
    "stacked": partial(job, StackedReplicas),
}


def serve(pipe: Connection, way: Way, task: Task) -> None:
    """Train an epoch for every number that comes through the pipe and send back what it took; None ends it."""
    trainer = way(task)
    while (epoch := pipe.recv()) is not None:
        took = {}
        for part, work in (("train", trainer.train_epoch), ("evaluate", trainer.evaluate)):
            wall, cpu = _seconds(work, epoch)
            took |= {f"{part}_wall": wall / task.rounds, f"{part}_cpu": cpu / task.rounds}
        pipe.send(took | {"peak_mib": peak_mib()})


def _seconds(work: Callable[[Any], object], argument: Any) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(argument)
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mib() -> float:
    """Return the most memory that this process has had in use so far.

    On Linux as the system counts it since this program started: getrusage's peak includes that of the parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS: bytes


@contextmanager
def child(way: Way, task: Task) -> Iterator[Callable[[int], dict[str, float]]]:
    """Start a process; give a function that has it train an epoch, and returns the epoch's seconds a round."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=serve, args=(theirs, way, task), daemon=True)
    process.start()
    theirs.close()  # so that a child that dies is an EOFError here, not a wait for ever

    def epoch(number: int) -> dict[str, float]:
        ours.send(number)
        return ours.recv()

    try:
        yield epoch
        ours.send(None)
    finally:
        ours.close()
        process.join()


def expm1_nanoseconds() -> float:
    """Return how long torch.expm1, which torch's SELU rests on, takes a number: see docs/performance.md."""
    numbers = torch.linspace(-1, 1, 2**16)
    return min(_seconds(torch.expm1, numbers)[0] for _ in range(3)) / len(numbers) * 1e9


def interleaved(
    tasks: dict[str, Task], repetitions: int, ways: dict[str, Way] = WAYS, seconds: float = 0
) -> pd.DataFrame:
    """Return a row a way and repetition: seconds a round of the whole training, and the way's peak memory until then.

    The ways take turns at an epoch with its evaluation. The repetitions are epochs spread over the training, because
    what is trained may change in it, and stand for it: their seconds are multiplied by its epochs. Loading, building
    and one epoch of each way as warm-up (two, to know how long they take) are not in the seconds.

    Args:
        tasks: what to train, by the way.
        repetitions: epochs of each way that are measured, at least.
        ways: how, by name.
        seconds: for so long epochs are measured, up to `MOST`: what else the machine does hits short ones hardest.
    """
    epochs = next(iter(tasks.values())).cell.training.epochs
    rows = []
    with ExitStack() as stack:
        children = {way: stack.enter_context(child(ways[way], task)) for way, task in tasks.items()}
        for _ in range(2 if seconds else 1):
            start = time.perf_counter()
            for run in children.values():
                run(1)
            took = time.perf_counter() - start
        repetitions = max(repetitions, min(int(seconds / took), MOST))
        for repetition, epoch in enumerate(np.linspace(1, epochs, repetitions).round().astype(int).tolist()):
            state = {"repetition": repetition, "expm1_ns": expm1_nanoseconds()}
            for way, run in children.items():
                rows.append({"way": way, "rounds": tasks[way].rounds} | state | run(epoch))
    table = pd.DataFrame(rows)
    table[[f"{part}_{clock}" for part in ("train", "evaluate") for clock in ("wall", "cpu")]] *= epochs
    for clock in ("wall", "cpu"):
        table[clock] = table[f"train_{clock}"] + table[f"evaluate_{clock}"]
    return table

"""What each of our means is worth: a training job's epoch with one of them taken away, beside the job as it is.

Every variant trains one round in a loop, in a process of its own (`ways`); a ratio is of neighbours. `make bench`.
"""

import argparse
from collections.abc import Iterable, Iterator

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.plain import called_twice
from benchmarks.studies import task_of
from benchmarks.tables import machine, markdown, spread, write
from benchmarks.ways import WAYS, Ours, Task, Way, interleaved
from twinbench.machine import prepare
from twinbench.spec.training import Optimizer
from twinbench.tasks.tensors import Split
from twinbench.training import replicas
from twinbench.training.replicas import LoopReplicas

MODELS = (
    "twin-lenet/shared-auxiliary", "siamese-resnets/siamese-classes", "dense-vs-conv/conv-shared-auxiliary",
    "dense-vs-conv/dense-shared-auxiliary",
)  # fmt: skip


class TextbookOptimizer:
    """torch.optim as it comes, with what our loop asks of an optimiser."""

    def __init__(self, parameters: Iterable[Tensor], settings: Optimizer):
        self.lr = settings.lr
        if settings.name == "adam":
            self.optimizer = torch.optim.Adam(parameters, self.lr)
        else:
            self.optimizer = torch.optim.SGD(parameters, self.lr, settings.momentum)

    def step(self) -> None:
        """Update the parameters and clear the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.step()
        self.optimizer.zero_grad()


class LoadedSplit(Split):
    """A split whose batches a DataLoader puts together, a pair at a time."""

    def take(self, order: Tensor) -> "LoadedSplit":
        return LoadedSplit(*vars(super().take(order)).values())

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        yield from DataLoader(TensorDataset(self.inputs, self.target, self.digits), size)


def without_settings(task: Task) -> Ours:
    """Return a job that leaves memory and denormal numbers to the defaults."""
    torch.set_num_threads(1)
    return Ours(LoopReplicas, task, task.build, task.load())


def without_optimizer(task: Task) -> Ours:
    """Return a job with torch.optim's unfused optimisers."""
    replicas.make_optimizer = TextbookOptimizer  # in this process alone
    return WAYS["loop"](task)


def with_loader(task: Task) -> Ours:
    """Return a job whose batches come from a DataLoader."""
    prepare(threads=1)
    data = [{name: LoadedSplit(*vars(split).values()) for name, split in splits.items()} for splits in task.load()]
    return Ours(LoopReplicas, task, task.build, data)


def with_torchs_layers(task: Task) -> Ours:
    """Return a job with torch's own layers, whose maps and weights lie in the default layout."""
    replicas.tune = lambda model: model  # in this process alone
    return WAYS["loop"](task)


def with_two_calls(task: Task) -> Ours:
    """Return a job whose models call their branch once per image."""
    prepare(threads=1)
    return Ours(LoopReplicas, task, lambda: called_twice(task.build()), task.load())


VARIANTS: dict[str, Way] = {
    "as it is": WAYS["loop"],
    "default memory and denormals": without_settings,
    "torch's layers, default layout": with_torchs_layers,
    "a call an image": with_two_calls,
    "torch.optim, unfused": without_optimizer,
    "batches from a DataLoader": with_loader,
}


def text(rows: pd.DataFrame) -> str:
    """Return the table: seconds as it is, and how many times as long without one of the means."""
    lines = []
    for name, of_model in rows.groupby("name", sort=False):
        seconds = of_model.pivot(index="repetition", columns="way", values="cpu")
        ours = seconds["as it is"]
        lines.append([name, len(ours), spread(ours), *(spread(seconds[way] / ours) for way in list(VARIANTS)[1:])])
    intro = (
        f"Processor seconds a round in a loop, and how many times as long it takes with …; median (quartiles) of n "
        f"interleaved epochs; {machine()}."
    )
    return intro + "\n\n" + markdown(["Model", "n", "Ours, s", *list(VARIANTS)[1:]], lines)


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    tables = []
    for name in arguments.models:
        tasks = dict.fromkeys(VARIANTS, task_of(name))
        tables.append(interleaved(tasks, arguments.repetitions, VARIANTS, seconds=40).assign(name=name))
        print(f"{name} done", flush=True)
    rows = pd.concat(tables, ignore_index=True)
    write("parts", rows, text(rows))


if __name__ == "__main__":
    main()

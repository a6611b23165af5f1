"""The trainings that are timed: the models of all studies at paper scale, one round on the study's first fold.

Sweeps are left out, and so are models as run and those that try to explain published values.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.architectures.twin import call_branches
from twinbench.config.loading import load_studies
from twinbench.config.models import Config
from twinbench.config.reading import merge
from twinbench.files import read_tensors
from twinbench.spec.study import Study
from twinbench.spec.training import Cell
from twinbench.tasks import draw
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.replicas import Assignment, Replicas, ReplicaSeeds
from twinbench.training.strategies import choose

STUDIES = ["twin-lenet", "dense-vs-conv", "siamese-resnets", "parameter-budget", "transfer", "disc"]
IMAGES = Path("results/images/mnist.safetensors")

Data = list[dict[str, Split]]  # of each round, splits by name


@dataclass(frozen=True)
class Task:
    """One model to train, as its study says."""

    cell: Cell  # what the study says of the model
    examples: dict[str, Any]  # what it says of its pairs or points (`spec.study.Study.draw`)
    rounds: int = 1
    device: str = "cpu"

    def changed(self, changes: dict[str, Any]) -> "Task":
        """Return the task with changes in what the study says of the model, as its file would have them."""
        return replace(self, cell=Cell(**merge(self.cell.model_dump(), changes)))

    @property
    def evaluated(self) -> list[str]:
        """The splits that are evaluated after every epoch: for early stopping, and for curves."""
        stopping = ["validation"] if self.cell.training.early_stopping else []
        return list(dict.fromkeys([*stopping, *self.cell.curves.splits]))

    def build(self) -> nn.Module:
        """Return a new, randomly initialised model."""
        model = architectures()[self.cell.architecture].build(**self.cell.options)
        return call_branches(model, per_image=self.cell.training.branch == "image")

    def load(self) -> Data:
        """Return the training pairs or points of every round, and what is evaluated."""
        images = None if self.cell.inputs.task == "disc" else IMAGES
        table = draw(rounds=range(self.rounds), images=images, **self.examples)
        tensors, wanted = read_tensors(images) if images else {}, {"train", *self.evaluated}
        device = torch.device(self.device)
        return list(load_splits(self.cell.inputs, tensors, table, self.cell.folds[0], device, wanted).values())

    def strategy(self) -> type[Replicas]:
        """Return the strategy that a job chooses."""
        own = architectures()[self.cell.architecture].own_strategy()
        return own or choose(self.build, torch.device(self.device), self.cell.training)

    def replicas(self, strategy: type[Replicas], data: Data, seeds: Callable[[int], ReplicaSeeds]) -> Replicas:
        """Return a replica per round, with the seeds of its number."""
        curves, cell = tuple(self.cell.curves.splits), self.cell
        leg = [Assignment(splits, seeds(number), curves) for number, splits in enumerate(data)]
        return strategy(self.build, [leg], cell.training, cell.objective, cell.decision)

    def steps(self) -> float:
        """Return the training steps of a round, an incomplete one as the part that it is."""
        train, folds = self.examples["counts"]["train"], self.examples["folds"]
        return self.cell.training.epochs * (train - (train // folds if folds else 0)) / self.cell.training.batch_size


@cache
def models() -> dict[str, Study]:
    """Return the study of every ``study/model``."""
    studies = load_studies(Config(scale="paper", studies=STUDIES, seed=2021, rounds_per_job=8)).values()
    return {
        f"{study.name}/{name}": study
        for study in studies
        for name, model in study.models.items()
        if not (study.swept or model.as_run_of or model.tries)
    }


def task_of(name: str) -> Task:
    """Return the task of ``study/model``; its pairs are drawn for the benchmark."""
    study = models()[name]
    return Task(Cell(**study.cell(name.split("/")[1])), study.draw(30_000) | {"study": "benchmark"})

"""What the benchmarks train: the models of all studies at paper scale, one round on the study's first fold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_studies
from twinbench.config.models import Config
from twinbench.files import read_tensors
from twinbench.spec.study import Study
from twinbench.spec.training import Cell
from twinbench.tasks import draw
from twinbench.tasks.tables import SPLITS
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.replicas import Replicas
from twinbench.training.strategies import choose

STUDIES = ["twin-lenet", "dense-vs-conv", "siamese-resnets", "parameter-budget", "transfer", "disc"]
IMAGES = Path("results/images/mnist.safetensors")


@dataclass(frozen=True)
class Task:
    """What to train."""

    cell: Cell  # what the study says of the model
    examples: dict[str, Any]  # what it says of its pairs or points (`spec.study.Study.draw`)
    fold: str
    rounds: int = 1
    device: str = "cpu"

    def build(self) -> nn.Module:
        """Return a new, randomly initialised model."""
        return architectures()[self.cell.architecture].build(**self.cell.options)

    def load(self) -> list[dict[str, Split]]:
        """Return the splits of every round by name."""
        images = None if self.cell.inputs.task == "disc" else IMAGES
        table = draw(rounds=range(self.rounds), images=images, **self.examples)
        tensors = read_tensors(images) if images else {}
        loaded = load_splits(self.cell.inputs, tensors, table, self.fold, torch.device(self.device))
        return [{name: splits[name] for name in SPLITS if name in splits} for splits in loaded.values()]

    def strategy(self, build: Callable[[], nn.Module] | None = None) -> type[Replicas]:
        """Return the strategy that a job chooses, for what ``build`` makes if it is another model."""
        own = architectures()[self.cell.architecture].own_strategy()
        return own or choose(build or self.build, torch.device(self.device), self.cell.training.batch_size)

    def steps(self) -> float:
        """Return the training steps of a round, an incomplete one as the part that it is."""
        train, folds = self.examples["counts"]["train"], self.examples["folds"]
        return self.cell.training.epochs * (train - (train // folds if folds else 0)) / self.cell.training.batch_size


@cache
def studies() -> dict[str, Study]:
    """Return all studies by name."""
    return load_studies(Config(scale="paper", studies=STUDIES, seed=2021, rounds_per_job=8))


def every_model() -> list[str]:
    """Return ``study/model`` of every model."""
    return [f"{study.name}/{model}" for study in studies().values() for model in study.models]


def task_of(name: str) -> Task:
    """Return the task of ``study/model``; its pairs are drawn for the benchmark."""
    study, model = studies()[name.split("/")[0]], name.split("/")[1]
    return Task(Cell(**study.cell(model)), study.draw(30_000) | {"study": "benchmark"}, study.folds[0])

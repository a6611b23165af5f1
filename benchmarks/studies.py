"""The models of all studies of pairs at paper scale, as the benchmark's tasks; `scratch` measures our own framework."""

from functools import cache

import torch

from benchmarks.ways import Task
from twinbench.config.loading import load_studies
from twinbench.config.models import Config
from twinbench.spec.study import Study
from twinbench.spec.training import Cell
from twinbench.training.strategies import choose

STUDIES = ["twin-lenet", "dense-vs-conv", "siamese-resnets", "parameter-budget", "transfer"]


@cache
def studies() -> dict[str, Study]:
    """Return all studies by name."""
    return load_studies(Config(scale="paper", studies=STUDIES, seed=2021, rounds_per_job=8))


def every_model() -> list[str]:
    """Return ``study/model`` of every model that torch.nn and autograd train."""
    named = [(study, model) for study in studies().values() for model in study.models]
    return [f"{study.name}/{model}" for study, model in named if not study.architecture(model).strategy]


def task_of(name: str, counts: dict[str, int] | None = None) -> Task:
    """Return the task of ``study/model``: one round on the study's first fold, with other numbers of pairs if given."""
    study, model = studies()[name.split("/")[0]], name.split("/")[1]
    examples = study.draw(30_000) | ({"counts": counts} if counts else {})
    return Task(Cell(**study.cell(model)), examples, study.folds[0])


def strategy_of(task: Task) -> str:
    """Return the strategy that a job chooses on a processor: ``loop`` or ``stacked``."""
    return choose(task.build, torch.device("cpu"), task.cell.training.batch_size).name

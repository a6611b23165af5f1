"""The models of all studies at paper scale, as the benchmark's tasks."""

from functools import cache

import torch

from benchmarks.ways import Task
from twinbench.config.loading import load_studies
from twinbench.config.models import Config
from twinbench.planning import Plan
from twinbench.training.strategies import choose

STUDIES = ["twin-lenet", "dense-vs-conv", "siamese-resnets", "parameter-budget", "transfer"]


@cache
def plan() -> Plan:
    """Return the plan of all studies."""
    config = Config(scale="paper", studies=STUDIES, seed=2021, rounds_per_job=8)
    return Plan(config, load_studies(config))


def every_model() -> list[str]:
    """Return ``study/model`` of every model."""
    return [f"{study}/{model}" for study in STUDIES for model in plan().models(study)]


def task_of(name: str, counts: dict[str, int] | None = None) -> Task:
    """Return the task of ``study/model``: one round on the study's first fold, with other numbers of pairs if given."""
    study, model = name.split("/")
    pairs = plan().pairs(study)
    return Task(plan().cell(study, model), pairs | ({"counts": counts} if counts else {}), plan().folds(study)[0])


def strategy_of(task: Task) -> str:
    """Return the strategy that a job chooses on a processor: ``loop`` or ``stacked``."""
    return choose(task.build, torch.device("cpu"), task.cell["training"]["batch_size"]).name

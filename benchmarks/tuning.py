"""Validation errors by which the settings of our own framework were chosen: `make tune-scratch`.

Points and pairs of these rounds are drawn for tuning alone: no round of a study sees these points, and neither test
points nor MNIST's test digits play a part. An error is the mean over the rounds, with its standard deviation.
"""

from dataclasses import replace
from functools import partial, reduce
from itertools import product

import pandas as pd

from benchmarks.page import markdown
from benchmarks.tasks import Task, task_of
from twinbench.machine import prepare
from twinbench.seeds import derive_seed
from twinbench.training.loop import fit
from twinbench.training.replicas import ReplicaSeeds
from twinbench.training.scratch import ScratchReplicas

SEED, NAME, ROUNDS, EPOCHS = 2021, "scratch-tuning", 5, (25, 50, 100)
GRIDS: dict[str, dict[str, tuple]] = {  # what is varied of a model
    "disc/relu": {
        "options.activation": ("relu", "tanh"), "training.scaling": ("training", "raw"),
        "training.batch_size": (1, 5, 10, 50),
    },
    "dense-vs-conv/scratch": {"training.optimizer.lr": (0.001, 0.003, 0.01), "training.batch_size": (10, 50)},
}  # fmt: skip


def task_with(name: str, setting: dict[str, object], epochs: int) -> Task:
    """Return the task of ``study/model`` with a setting, on what is drawn for tuning."""
    task = task_of(name).changed({"curves": {"splits": ["validation"]}, "training": {"epochs": epochs}})
    for path, value in setting.items():
        task = task.changed(reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value))
    task = task.changed({"inputs": {"scaling": task.cell.training.scaling}})
    drawn = {"study": NAME, "seed": SEED, "counts": {"train": 1000, "validation": 1000}}
    if task.cell.inputs.task == "disc":
        drawn["purpose"] = "tuning"
    else:
        drawn["counts"]["test"] = 1
    return replace(task, examples=task.examples | drawn, rounds=ROUNDS)


def seeds(round_: int) -> ReplicaSeeds:
    """Return the seeds of one round's training."""
    of_round = partial(derive_seed, SEED, study=NAME, round=round_)
    return ReplicaSeeds(
        of_round(purpose="weights"),
        lambda epoch: of_round(purpose="epoch", epoch=epoch),
        lambda epoch, split: of_round(purpose="evaluation", epoch=epoch, split=split),
    )


def errors(task: Task) -> pd.DataFrame:
    """Return the validation errors in %, a row per epoch and replica; none where a training had diverged."""
    (outcome,) = fit(task.replicas(ScratchReplicas, task.load(), seeds))
    rows = pd.DataFrame(outcome.history)
    return rows.assign(error=100 * (1 - rows["accuracy"]))[["epoch", "replica", "error"]]


def run(names: list[str], *_: float) -> tuple[pd.DataFrame, str]:
    """Train the grids, all if none is named."""
    prepare(threads=1)
    tables, parts = [], []
    for name in names or GRIDS:
        axes, lines = GRIDS[name], []
        for values in product(*axes.values()):
            found = errors(task_with(name, dict(zip(axes, values, strict=True)), max(EPOCHS)))
            of_epochs = [found.loc[found["epoch"] == epoch, "error"] for epoch in EPOCHS]
            shown = [f"{of.mean():.1f} ± {of.std():.1f} %" if len(of) == ROUNDS else "diverged" for of in of_epochs]
            lines.append([*values, *shown])
            tables.append(found.assign(name=name, setting=str(values)))
        heading = f"{name}: validation error over {ROUNDS} rounds"
        parts += [heading, markdown([*axes, *(f"{epoch} epochs" for epoch in EPOCHS)], lines)]
    return pd.concat(tables), "\n\n".join(parts)

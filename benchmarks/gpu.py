"""Loop against stacked replicas on one GPU: ``python -m benchmarks gpu``, which reads the pooled images."""

from dataclasses import replace
from functools import partial

import pandas as pd
import torch

from benchmarks.page import machine, markdown, spread
from benchmarks.tasks import task_of
from benchmarks.timing import by_way, interleaved
from benchmarks.trainers import job, training
from twinbench.training.replicas import LoopReplicas
from twinbench.training.stacked.replicas import StackedReplicas

MODEL, ROUNDS = "twin-lenet/shared-auxiliary", 32


def run(names: list[str], repetitions: int, at_least: float, device: str = "cuda") -> tuple[pd.DataFrame, str]:
    """Measure models, `MODEL` if none is named; wall seconds, taken when the device has finished."""
    tables, lines = [], []
    for name in names or [MODEL]:
        task = replace(task_of(name), rounds=ROUNDS, device=device)
        strategies = {of.name: training(partial(job, of), task) for of in (LoopReplicas, StackedReplicas)}
        rows = interleaved(strategies, repetitions, at_least)
        for part in ("train", "evaluate"):
            took = ROUNDS * by_way(rows, part)
            ratio = spread(took["loop"] / took["stacked"])
            lines.append([name, part, len(took), spread(took["loop"]), spread(took["stacked"]), f"**{ratio}**"])
        tables.append(rows.assign(name=name))
    gpu = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    intro = (
        f"Wall seconds of {ROUNDS} rounds together, median (quartiles) of n interleaved epochs times the study's, "
        f"with the study's curves; {gpu}; {machine()}."
    )
    table = markdown(["Model", "Part", "n", "Loop, s", "Stacked, s", "Loop / stacked"], lines)
    return pd.concat(tables), f"## On a GPU\n\n{intro}\n\n{table}"

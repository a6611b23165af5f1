"""Seconds per round of every model beside two plain PyTorch loops that do the same work, and how fast it could be.

- The authors' protocol: a shared branch is called once per image, and the study's curves are evaluated after every
  epoch. The rest is as the study's file has it: scaling, no new order of the pairs in every epoch.
- The textbook's loop: both images of a pair are in one batch, pairs are shuffled, and after an epoch only what early
  stopping needs is evaluated.

A round is a training for all epochs at paper scale, on one fold where there are folds, and without early stopping.
"""

from dataclasses import replace
from functools import partial

import pandas as pd
import torch

from benchmarks.page import machine, markdown, number, spread
from benchmarks.tasks import Task, models, task_of
from benchmarks.timing import Run, by_way, interleaved, own_processes, seconds
from benchmarks.trainers import job, plain, training
from benchmarks.work import SIZES, peak_flops, training_flops
from twinbench.training.replicas import LoopReplicas, Replicas
from twinbench.training.stacked.replicas import StackedReplicas

# By the plain loop: ours that does the same work, and how that differs from what the study says of the model.
COMPARED = {
    "authors": ("ours as authors", {"training": {"branch": "image"}}),
    "textbook": ("ours", {"training": {"branch": "pair", "shuffle": True}, "curves": {"splits": []}}),
}
# What our choices are worth: `strategies.choose`, `machine`, `tuned`, `Twin` and `optimizers` rest on it.
CHOICES = {
    "strategy": "the other strategy", "branch": "a call per image", "settings": "default memory and denormals",
    "layers": "torch's layers, default layout", "optimizer": "torch.optim, unfused",
}  # fmt: skip
CHOSEN = (  # models for which each is taken away
    "twin-lenet/shared-auxiliary", "siamese-resnets/mlp", "siamese-resnets/siamese-classes", "parameter-budget/m2",
    "transfer/baseline", "dense-vs-conv/dense-shared-auxiliary", "dense-vs-conv/dense-shared-auxiliary-batch-50",
    "dense-vs-conv/conv-shared-auxiliary",
)  # fmt: skip
ROUNDS = 10  # that are stacked


def ways_of(task: Task, choices: bool) -> dict[str, partial[Run]]:
    """Return what to run by the way's name; ``choices``: with those where one of our choices is taken away."""

    def ours(of: Task, strategy: type[Replicas], **without: str) -> partial[Run]:
        rounds = ROUNDS if strategy is StackedReplicas else 1
        return partial(training, partial(job, strategy, **without), replace(of, rounds=rounds))

    ways, chosen = {}, task.strategy()
    for theirs, (name, changes) in COMPARED.items():
        of = task.changed(changes)
        ways |= {theirs: partial(training, partial(plain, theirs == "textbook"), of), name: ours(of, chosen)}
    if choices:
        ways["strategy"] = ours(of, StackedReplicas if chosen is LoopReplicas else LoopReplicas)
        ways["branch"] = ours(of.changed({"training": {"branch": "image"}}), chosen)
        ways |= {means: ours(of, chosen, without=means) for means in ("settings", "layers", "optimizer")}
    return ways


def measure(name: str, repetitions: int, at_least: float) -> pd.DataFrame:
    """Return a row per way and repetition of ``study/model``: seconds per round, those of `trainers.training`."""
    task = task_of(name)
    with own_processes(ways_of(task, name in CHOSEN)) as runs:
        rows = interleaved(runs, repetitions, at_least)
    numbers = torch.linspace(-1, 1, 2**16)  # torch's SELU rests on its expm1: see docs/performance.md
    expm1 = min(seconds(partial(torch.expm1, numbers)) for _ in range(3)) / len(numbers) * 1e9
    facts = {"batch_size": task.cell.training.batch_size, "steps": task.steps(), "strategy": task.strategy().name}
    flops = training_flops(task) if "convolutions" in rows else 0
    return rows.assign(name=name, **facts, flops=flops, expm1_ns=expm1)


def model_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the first table; rows are its own."""
    first, row = rows.iloc[0], []
    took = by_way(rows, "round")
    for theirs, (ours, _) in COMPARED.items():
        row += [spread(took[theirs]), spread(took[ours]), f"**{spread(took[theirs] / took[ours])}**"]
    return [first["name"], first.batch_size, first.strategy, rows["repetition"].nunique(), *row]


def choice_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the second table."""
    took = by_way(rows, "round")
    return [rows["name"].iloc[0], *(spread(took[way] / took["ours"]) for way in CHOICES)]


def limit_rows(rows: pd.DataFrame, peak: float) -> list[list[object]]:
    """Return a convolutional model's rows of the third table: milliseconds per training step."""
    first, table = rows.iloc[0], []
    for theirs, (ours, _) in COMPARED.items():
        step, alone = (1000 * by_way(rows, column) / first.steps for column in ("train", "convolutions"))
        cells = [spread(of[way]) for way in (theirs, ours) for of in (step, alone)]
        ratios = [spread(step[theirs] / step[ours]), spread(step[theirs] / alone[ours])]
        table.append([first["name"], theirs, *cells, number(1000 * first.flops / peak / first.steps), *ratios])
    return table


def text(rows: pd.DataFrame, peak: float) -> str:
    """Return the tables with what they need to be read."""
    models = [of_model for _, of_model in rows.groupby("name", sort=False)]
    chosen = [of_model for of_model in models if "strategy" in set(of_model["way"])]
    limited = [of_model for of_model in models if of_model["flops"].any()]
    slowest, fastest = (number(rows["expm1_ns"].agg(of)) for of in ("max", "min"))
    columns = ["Model", "Pairs per step", "Strategy", "n", "Authors, s", "Ours, s", "Authors / ours", "Textbook, s"]
    limits = ["Convolutional models", "Against", "Theirs, ms", "convolutions", "Ours, ms", "convolutions", "FLOPs, ms"]
    return "\n\n".join([
        f"Processor seconds per round: median (quartiles) of n interleaved epochs times those of the study; stacked: "
        f"{ROUNDS} rounds; {machine()}. torch.expm1 took {fastest} to {slowest} ns per number.",
        markdown([*columns, "Ours, s", "Textbook / ours"], map(model_row, models)),
        "What our choices are worth: how many times as long a round of the textbook's takes with …",
        markdown(["Model", *CHOICES.values()], map(choice_row, chosen)),
        "Milliseconds per training step. *Convolutions*: the same calls of the same layers, forward and backward, with "
        f"nothing between them. *FLOPs*: the step's at the peak of {number(peak / 1e9)} GFLOP/s, the fastest square "
        f"float32 product of {min(SIZES)} to {max(SIZES)} rows, by torch.mm or oneDNN. *At most*: the ratio if all but "
        "our convolutions took no time.",
        markdown([*limits, "Theirs / ours", "At most"], [row for model in limited for row in limit_rows(model, peak)]),
    ])  # fmt: skip


def run(names: list[str], repetitions: int, at_least: float) -> tuple[pd.DataFrame, str]:
    """Measure models, all if none is named."""
    peak, tables = peak_flops(), []
    for name in names or models():
        tables.append(measure(name, repetitions, at_least))
        print(*model_row(tables[-1]), sep=" | ", flush=True)
    peak = max(peak, peak_flops())
    rows = pd.concat(tables, ignore_index=True).assign(peak_flops=peak)
    return rows, text(rows, peak)

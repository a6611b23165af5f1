"""Seconds per round of every model beside two plain PyTorch loops that do the same work, and how fast it could be.

The work is the same by the calls of a shared branch and by what is evaluated:

- the authors' protocol: a call per image, and every split evaluated after every epoch;
- the textbook's loop: a call per pair, and after an epoch only what early stopping needs.

A round is a training for all epochs at paper scale, on one fold where there are folds, and without early stopping.
"""

from dataclasses import replace
from functools import partial

import pandas as pd
import torch

from benchmarks.page import machine, markdown, number, spread
from benchmarks.plain import called
from benchmarks.tasks import Task, every_model, task_of
from benchmarks.timing import Run, by_way, interleaved, own_processes, seconds
from benchmarks.trainers import job, plain, training
from benchmarks.work import SIZES, peak_flops, training_flops
from twinbench.training.replicas import LoopReplicas
from twinbench.training.stacked.replicas import StackedReplicas

# By the plain loop: ours with the same calls, what a shared branch sees, and the seconds that count (`measure`).
COMPARED = {"authors": ("ours per image", "image", "all"), "textbook": ("ours", "pair", "needed")}
# What our choices are worth: `strategies.choose`, `machine`, `tuned`, `Twin` and `optimizers` rest on it.
CHOICES = {
    "other strategy": "the other strategy", "ours per image": "a call per image",
    "settings": "default memory and denormals", "layers": "torch's layers, default layout",
    "optimizer": "torch.optim, unfused",
}  # fmt: skip
CHOSEN = (  # models for which each is taken away
    "twin-lenet/shared-auxiliary", "siamese-resnets/mlp", "siamese-resnets/siamese-classes", "parameter-budget/m2",
    "transfer/baseline", "dense-vs-conv/dense-shared-auxiliary", "dense-vs-conv/dense-shared-auxiliary-batch-50",
    "dense-vs-conv/conv-shared-auxiliary",
)  # fmt: skip
ROUNDS = 10  # that are stacked


def ways_of(task: Task, choices: bool) -> dict[str, partial[Run]]:
    """Return what to run by the way's name; ``choices``: with those where one of our choices is taken away."""
    ways = {}

    def ours(strategy: type, branch: str, **without: str) -> partial[Run]:
        rounds = ROUNDS if strategy is StackedReplicas else 1
        return partial(training, partial(job, strategy, branch, **without), replace(task, rounds=rounds))

    for theirs, (name, branch, _) in COMPARED.items():
        chosen = task.strategy(lambda branch=branch: called(task.build(), branch))
        ways |= {theirs: partial(training, partial(plain, branch), task), name: ours(chosen, branch)}
    if choices:
        ways["other strategy"] = ours(StackedReplicas if chosen is LoopReplicas else LoopReplicas, "pair")
        ways |= {means: ours(chosen, "pair", without=means) for means in ("settings", "layers", "optimizer")}
    return ways


def measure(name: str, repetitions: int, at_least: float) -> pd.DataFrame:
    """Return a row per way and repetition of ``study/model``: seconds per round.

    They are those of `trainers.training`, and with the training steps those of evaluating ``all`` splits after every
    epoch, or only what early stopping ``needed``.
    """
    task = task_of(name)
    with own_processes(ways_of(task, name in CHOSEN)) as runs:
        rows = interleaved(runs, repetitions, at_least)
    training = task.cell.training
    rows["all"] = rows["train"] + rows.filter(like="evaluate ").sum(axis=1)
    rows["needed"] = rows["train"] + (rows["evaluate validation"] if training.early_stopping else 0)
    numbers = torch.linspace(-1, 1, 2**16)  # torch's SELU rests on its expm1: see docs/performance.md
    expm1 = min(seconds(partial(torch.expm1, numbers)) for _ in range(3)) / len(numbers) * 1e9
    facts = {"batch_size": training.batch_size, "steps": task.steps(), "strategy": task.strategy().name}
    flops = training_flops(task) if "convolutions" in rows else 0
    return rows.assign(name=name, **facts, flops=flops, expm1_ns=expm1)


def model_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the first table; rows are its own."""
    first, row = rows.iloc[0], []
    for theirs, (ours, _, column) in COMPARED.items():
        took = by_way(rows, column)
        row += [spread(took[theirs]), spread(took[ours]), f"**{spread(took[theirs] / took[ours])}**"]
    return [first["name"], first.batch_size, first.strategy, rows["repetition"].nunique(), *row]


def choice_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the second table."""
    took = by_way(rows, "all")
    return [rows["name"].iloc[0], *(spread(took[way] / took["ours"]) for way in CHOICES)]


def limit_rows(rows: pd.DataFrame, peak: float) -> list[list[object]]:
    """Return a convolutional model's rows of the third table: milliseconds per training step."""
    first, table = rows.iloc[0], []
    for theirs, (ours, *_) in COMPARED.items():
        step, alone = (1000 * by_way(rows, column) / first.steps for column in ("train", "convolutions"))
        cells = [spread(of[way]) for way in (theirs, ours) for of in (step, alone)]
        ratios = [spread(step[theirs] / step[ours]), spread(step[theirs] / alone[ours])]
        table.append([first["name"], theirs, *cells, number(1000 * first.flops / peak / first.steps), *ratios])
    return table


def text(rows: pd.DataFrame, peak: float) -> str:
    """Return the tables with what they need to be read."""
    models = [of_model for _, of_model in rows.groupby("name", sort=False)]
    chosen = [of_model for of_model in models if "other strategy" in set(of_model["way"])]
    limited = [of_model for of_model in models if of_model["flops"].any()]
    slowest, fastest = (number(rows["expm1_ns"].agg(of)) for of in ("max", "min"))
    columns = ["Model", "Pairs per step", "Strategy", "n", "Authors, s", "Ours, s", "Authors / ours", "Textbook, s"]
    limits = ["Convolutional models", "Against", "Theirs, ms", "convolutions", "Ours, ms", "convolutions", "FLOPs, ms"]
    return "\n\n".join([
        f"Processor seconds per round: median (quartiles) of n interleaved epochs times those of the study; stacked: "
        f"{ROUNDS} rounds; {machine()}. torch.expm1 took {fastest} to {slowest} ns per number.",
        markdown([*columns, "Ours, s", "Textbook / ours"], map(model_row, models)),
        "What our choices are worth: how many times as long a round takes with …, all splits evaluated.",
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
    for name in names or every_model():
        tables.append(measure(name, repetitions, at_least))
        print(*model_row(tables[-1]), sep=" | ", flush=True)
    peak = max(peak, peak_flops())
    rows = pd.concat(tables, ignore_index=True).assign(peak_flops=peak)
    return rows, text(rows, peak)

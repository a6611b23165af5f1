"""One training job: a study's model on all folds, for a block of rounds."""

import logging
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from twinbench.architectures.catalog import Architecture, architectures
from twinbench.architectures.cost import count_parameters, forward_flops
from twinbench.architectures.twin import call_branches
from twinbench.files import DataError, read_parquet, read_tensors, whole
from twinbench.gpu_slots import claim_gpu
from twinbench.machine import prepare
from twinbench.pretrained import read_origin
from twinbench.provenance import environment
from twinbench.seeds import derive_seed
from twinbench.spec.training import Cell
from twinbench.tasks import task_of
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.checkpoint import Checkpoint, training_key
from twinbench.training.loop import Outcome, fit
from twinbench.training.record import Ended, Record
from twinbench.training.replicas import Assignment, Replicas, ReplicaSeeds
from twinbench.training.strategies import choose

log = logging.getLogger(__name__)

# The columns that every history has, even one without rows.
HISTORY = pd.DataFrame({
    "study": pd.Series(dtype=str), "model": pd.Series(dtype=str), "round": pd.Series(dtype="int64"),
    "fold": pd.Series(dtype=str), "epoch": pd.Series(dtype="int64"), "split": pd.Series(dtype=str),
    "loss": pd.Series(dtype=float), "accuracy": pd.Series(dtype=float),
})  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """The files that a training job reads."""

    examples: list[Path]  # pairs or points of the rounds to train, and maybe of others (`tasks.draw`)
    images: Path | None = None  # pooled images (`data.images.write_images`); the disc needs none
    pretrained: Path | None = None  # weights to start from (`twinbench.pretrained`); None starts from random ones


@dataclass(frozen=True)
class Outputs:
    """The files that a training job writes. T trainings, each of one round and fold."""

    weights: Path  # safetensors, every tensor stacked over the trainings to (T, …); its header names them
    history: Path  # Parquet, a row per round, fold, epoch and split that was evaluated
    record: Path  # JSON (`training.record`)


def train_cell(
    cell: Cell, rounds: range, inputs: Inputs, outputs: Outputs, *, threads: int, gpu: bool, code: str, checkpoint: Path
) -> None:
    """Train a model on every fold of some rounds and write what came out.

    Args:
        cell: what the configuration says of the model.
        rounds: those to train.
        inputs, outputs: the job's files.
        threads: processor threads that torch may use.
        gpu: whether to use a GPU if there is one.
        code: digest of the code; a checkpoint of other code is not used.
        checkpoint: the file in which a job of more than a minute saves its progress.

    Raises:
        DataError: the model has more parameters than the study allows, or batch norm gets a batch of one pair.
    """
    device = _set_up(threads, gpu)
    start = time.perf_counter()
    legs = _legs(cell, rounds)
    assignments = _load(cell, legs, rounds, inputs, device)
    data_seconds = time.perf_counter() - start
    log.info("%s/%s: %d trainings on %s, %d threads", cell.study, cell.model, sum(map(len, legs)), device, threads)

    architecture, training = architectures()[cell.architecture], cell.training
    pretrained = read_tensors(inputs.pretrained) if inputs.pretrained else None
    build = partial(_build, architecture, cell, pretrained)
    example, train = build(), next(filter(None, assignments[0])).data["train"]
    _check_budget(example, cell.parameter_budget)
    _check_batches(example, train, training.batch_size)
    strategy = architecture.own_strategy() or choose(build, device, training)
    replicas_on = partial(strategy, build, training=training, objective=cell.objective, decision=cell.decision)
    _warm_up(replicas_on, assignments[0], training.batch_size)
    replicas = replicas_on(assignments)
    # One strategy's checkpoint is of no use to another: a job may be killed on a GPU and go on without one.
    files = [path for path in (inputs.images, *inputs.examples, inputs.pretrained) if path]
    key = partial(training_key, cell.model_dump(), f"{code}, {strategy.name}", *files)
    saved = Checkpoint(checkpoint, key)
    outcomes = fit(replicas, saved)
    record = Record(
        cell.study, cell.model, _ended(legs, outcomes), count_parameters(example),
        forward_flops(example, train.inputs[:1].cpu()),
        device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu", threads=threads,
        strategy=strategy.name, data_seconds=data_seconds,
        evaluate_seconds=sum(outcome.evaluate_seconds for outcome in outcomes),
        initial_weights=read_origin(inputs.pretrained) if inputs.pretrained else "random", environment=environment(),
    )  # fmt: skip
    _write(outputs, record, legs, outcomes, replicas.finished)
    saved.remove()


Leg = list[tuple[int, str] | None]  # round and fold of each replica; None where it has no part in the leg


def _legs(cell: Cell, rounds: range) -> list[Leg]:
    """Return the trainings of a cell. Only a chain of folds has several legs: one per fold, a replica per round."""
    trainings = cell.trainings(rounds)
    if not cell.training.chain:
        return [trainings]
    legs = [[(round_, fold) if (round_, fold) in trainings else None for round_ in rounds] for fold in cell.folds]
    return [leg for leg in legs if any(leg)]


def _load(
    cell: Cell, legs: list[Leg], rounds: range, inputs: Inputs, device: torch.device
) -> list[list[Assignment | None]]:
    """Return what each replica trains on: the splits that its training and its curves need."""
    images = read_tensors(inputs.images) if inputs.images else {}
    examples = pd.concat(map(read_parquet, inputs.examples), ignore_index=True)
    examples = examples[examples["round"].isin(rounds)]
    needed = {"train", *cell.training.passes} | ({"validation"} if cell.training.early_stopping else set())
    first = dict(reversed(cell.trainings(rounds)))

    def assign(round_: int, fold: str) -> Assignment:
        shown = cell.curves.folds == "all" or fold == first[round_]
        curves = tuple(cell.curves.splits) if shown else ()
        table, wanted = examples[examples["round"] == round_], needed.union(curves)
        data = load_splits(cell.inputs, images, table, fold, device, wanted)
        return Assignment(data[round_], _seeds(cell, fold, round_), curves)

    return [[part and assign(*part) for part in leg] for leg in legs]


def _build(architecture: Architecture, cell: Cell, pretrained: dict[str, Tensor] | None) -> nn.Module:
    model = architecture.build(**cell.options)
    if pretrained:
        model.load_pretrained(pretrained)
    return call_branches(model, per_image=cell.training.branch == "image")


def _ended(legs: list[Leg], outcomes: list[Outcome]) -> list[Ended]:
    ended, names = [], ("status", "reason", "epochs", "best_epoch", "train_seconds")
    for leg, outcome in zip(legs, outcomes, strict=True):
        columns = (np.asarray(getattr(outcome, name)).tolist() for name in names)
        ended += [Ended(*part, *row) for part, row in zip(leg, zip(*columns, strict=True), strict=True) if part]
    return ended


def _write(
    outputs: Outputs, record: Record, legs: list[Leg], outcomes: list[Outcome], states: list[dict[str, Tensor]]
) -> None:
    present = [[number for number, part in enumerate(leg) if part] for leg in legs]
    weights = {name: [state[name][rows] for state, rows in zip(states, present, strict=True)] for name in states[0]}
    names = {"study": record.study, "model": record.model}
    parts = {"trainings": ",".join(f"{ended.round}/{ended.fold}" for ended in record.trainings)}
    with whole(outputs.weights) as path:
        save_file({name: torch.cat(tensors) for name, tensors in weights.items()}, path, names | parts)
    rows = [
        names | dict(zip(("round", "fold"), leg[row["replica"]], strict=True)) | row
        for leg, outcome in zip(legs, outcomes, strict=True)
        for row in outcome.history
    ]
    history = pd.concat([HISTORY, pd.DataFrame(rows).drop(columns="replica")]) if rows else HISTORY
    with whole(outputs.history) as path:
        history.to_parquet(path, index=False)
    with whole(outputs.record) as path:
        record.write(path)


def _set_up(threads: int, gpu: bool) -> torch.device:
    """Set up this process and return the device; no other process shares its GPU, if any."""
    prepare(threads)
    if gpu:
        claim_gpu(torch.cuda.device_count())  # asks the driver, and does not start CUDA
    device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
    torch.zeros(1, device=device)  # starts CUDA now, so that the data's seconds leave this out
    return device


def _warm_up(replicas_on: Callable[[list], Replicas], leg: list[Assignment | None], batch_size: int) -> None:
    """Train and evaluate temporary replicas on one batch, so that no seconds include the cost of first calls."""
    some = list(filter(None, leg))[:2]
    first = torch.arange(min(batch_size, len(some[0].data["train"].target)))
    batches = [replace(assignment, data={"train": assignment.data["train"].take(first)}) for assignment in some]
    replicas, active = replicas_on([batches]), np.ones(len(batches), dtype=bool)
    replicas.begin(0)
    replicas.train_epoch(1, active)
    replicas.evaluate("train", 1, active)


def _check_budget(model: nn.Module, budget: int | None) -> None:
    count = count_parameters(model)
    if budget and count > budget:
        raise DataError(f"{count:,} parameters are over the study's parameter_budget of {budget:,}")


def _check_batches(model: nn.Module, train: Split, batch_size: int) -> None:
    pairs = len(train.target)
    if (pairs % batch_size or batch_size) > 1:
        return
    try:
        deepcopy(model).train()(torch.zeros_like(train.inputs[:1], device="cpu"))
    except ValueError as error:  # batch norm got a single value; over maps, or over both images, it gets more
        raise DataError(
            f"training.batch_size {batch_size}: of {pairs:,} training pairs the last batch of an epoch holds one, "
            "and this model's batch norm needs more"
        ) from error


def _seeds(cell: Cell, fold: str, round_: int) -> ReplicaSeeds:
    """Return seeds that do not depend on the model: all models of a study shuffle the same examples alike.

    With fixed data, the epochs of all rounds share their seeds too: only the initial weights differ.
    """
    axes, data_round = task_of(cell.inputs.task).seed_axes(cell.study, fold), 0 if cell.fixed_data else round_
    return ReplicaSeeds(
        weights=derive_seed(cell.seed, purpose="weights", round=round_, **axes),
        epoch=lambda epoch: derive_seed(cell.seed, purpose="epoch", epoch=epoch, round=data_round, **axes),
        evaluation=lambda epoch, split: derive_seed(
            cell.seed, purpose="evaluation", epoch=epoch, split=split, round=data_round, **axes
        ),
    )

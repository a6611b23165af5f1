"""One training job: a study's model on one fold, for a block of rounds."""

import logging
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from twinbench.architectures.catalog import Architecture, architectures
from twinbench.architectures.cost import count_parameters, forward_flops
from twinbench.files import DataError, read_parquet, read_tensors, whole
from twinbench.gpu_slots import claim_gpu
from twinbench.machine import prepare
from twinbench.pretrained import read_origin
from twinbench.provenance import environment
from twinbench.seeds import derive_seed
from twinbench.spec.training import Cell
from twinbench.tasks import task_of
from twinbench.tasks.tables import SPLITS
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.checkpoint import Checkpoint, training_key
from twinbench.training.loop import Outcome, fit
from twinbench.training.record import Ended, Record
from twinbench.training.replicas import Replicas, ReplicaSeeds
from twinbench.training.strategies import choose

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The files that a training job reads."""

    examples: Path  # pairs or points of the rounds to train (`tasks.draw`)
    images: Path | None = None  # pooled images (`data.images.write_images`); the disc needs none
    pretrained: Path | None = None  # weights to start from (`twinbench.pretrained`); None starts from random ones


@dataclass(frozen=True)
class Outputs:
    """The files that a training job writes."""

    weights: Path  # safetensors, every tensor stacked over the rounds to (R, …); its header names the cell
    history: Path  # Parquet, a row per round, epoch and split
    record: Path  # JSON (`training.record`)


def train_cell(
    cell: Cell, fold: str, inputs: Inputs, outputs: Outputs, *, threads: int, gpu: bool, code: str, checkpoint: Path
) -> None:
    """Train one replica for every round in the table of examples and write what came out.

    Args:
        cell: what the configuration says of the model.
        fold: a number as text, or ``all``.
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
    images = read_tensors(inputs.images) if inputs.images else {}
    loaded = load_splits(cell.inputs, images, read_parquet(inputs.examples), fold, device)
    rounds, data_seconds = list(loaded), time.perf_counter() - start
    splits = [{name: of_round[name] for name in SPLITS if name in of_round} for of_round in loaded.values()]
    log.info("%s/%s fold %s: rounds %s on %s, %d threads", cell.study, cell.model, fold, rounds, device, threads)

    architecture, batch_size = architectures()[cell.architecture], cell.training.batch_size
    pretrained = read_tensors(inputs.pretrained) if inputs.pretrained else None
    build = partial(_build, architecture, cell.options, pretrained)
    example, train = build(), splits[0]["train"]
    _check_budget(example, cell.parameter_budget)
    _check_batches(example, train, batch_size)
    strategy = architecture.own_strategy() or choose(build, device, batch_size)
    seeds = [_seeds(cell, fold, round_) for round_ in rounds]
    settings = {"training": cell.training, "objective": cell.objective, "decision": cell.decision}
    replicas_on = partial(strategy, build, seeds=seeds, **settings)
    _warm_up(replicas_on, splits, batch_size)
    replicas = replicas_on(splits)
    # One strategy's checkpoint is of no use to another: a job may be killed on a GPU and go on without one.
    files = [path for path in (inputs.images, inputs.examples, inputs.pretrained) if path]
    saved = Checkpoint(checkpoint, training_key(cell.model_dump(), f"{code}, {strategy.name}", *files))
    outcome = fit(replicas, list(splits[0]), saved)
    record = Record(
        cell.study, cell.model, fold, _ended(rounds, outcome), count_parameters(example),
        forward_flops(example, train.inputs[:1].cpu()),
        device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu", threads=threads,
        strategy=strategy.name, data_seconds=data_seconds, evaluate_seconds=outcome.evaluate_seconds,
        initial_weights=read_origin(inputs.pretrained) if inputs.pretrained else "random", environment=environment(),
    )  # fmt: skip
    _write(outputs, replicas, outcome, record)
    saved.remove()


def _build(architecture: Architecture, options: dict[str, Any], pretrained: dict[str, Tensor] | None) -> nn.Module:
    model = architecture.build(**options)
    if pretrained:
        model.load_pretrained(pretrained)
    return model


def _ended(rounds: list[int], outcome: Outcome) -> list[Ended]:
    names = ("status", "reason", "epochs", "best_epoch", "train_seconds")
    columns = (np.asarray(getattr(outcome, name)).tolist() for name in names)
    return [Ended(*row) for row in zip(rounds, *columns, strict=True)]


def _write(outputs: Outputs, replicas: Replicas, outcome: Outcome, record: Record) -> None:
    rounds = [ended.round for ended in record.rounds]
    with whole(outputs.weights) as path:
        save_file(replicas.state(), path, record.axes | {"rounds": ",".join(map(str, rounds))})
    history = [record.axes | {"round": rounds[row["replica"]]} | row for row in outcome.history]
    with whole(outputs.history) as path:
        pd.DataFrame(history).drop(columns="replica").to_parquet(path, index=False)
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


def _warm_up(replicas_on: Callable[[list], Replicas], data: list[dict[str, Split]], batch_size: int) -> None:
    """Train and evaluate temporary replicas on one batch, so that no seconds include the cost of first calls."""
    first = torch.arange(min(batch_size, len(data[0]["train"].target)))
    batch = [{"train": splits["train"].take(first)} for splits in data]
    replicas, active = replicas_on(batch), np.ones(len(batch), dtype=bool)
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
            f"training.batch_size {batch_size}: of {pairs:,} training pairs an epoch's last batch holds one, "
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
    )

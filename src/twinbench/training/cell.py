"""One training job: a study's model on one fold, for a block of rounds."""

import json
import logging
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import count_parameters, forward_flops
from twinbench.architectures.registry import IMAGE
from twinbench.data.tensors import Split, load_splits
from twinbench.files import DataError, read_parquet, read_tensors, whole
from twinbench.gpu_slots import claim_gpu
from twinbench.machine import prepare
from twinbench.pretrained import read_origin
from twinbench.provenance import environment
from twinbench.seeds import derive_seed
from twinbench.training.checkpoint import Checkpoint, training_key
from twinbench.training.loop import fit
from twinbench.training.replicas import Replicas, ReplicaSeeds
from twinbench.training.strategies import choose

log = logging.getLogger(__name__)


def train_cell(
    cell: dict, *, study: str, model: str, fold: str, digits: Path, pairs: Path, pretrained: Path | None,
    threads: int, gpu: bool, code: str, checkpoint: Path, weights: Path, history: Path, record: Path,
) -> None:  # fmt: skip
    """Train one replica for every round in the pair table and write what came out.

    Args:
        cell: what the configuration says of the model (`planning.Plan.cell`).
        study, model, fold: names of the cell; ``fold`` is a number as text or ``all``.
        digits: pooled digits (`data.mnist.write_digits`).
        pairs: pair table (`data.pairs.draw_pairs`) of the rounds to train.
        pretrained: weights to start from (`twinbench.pretrained`); None starts from random ones.
        threads: processor threads that torch may use.
        gpu: whether to use a GPU if there is one.
        code: digest of the code; a checkpoint of other code is not resumed from.
        checkpoint: where a job that takes more than a minute notes how far it is.
        weights: safetensors, every tensor stacked over the rounds to (R, …).
        history: Parquet, a row a round, epoch and split.
        record: JSON, how each round ended, size and cost of the model, versions and hardware.

    Raises:
        DataError: the model has more parameters than the study allows, or batch norm and a batch of one pair.
    """
    prepare(threads)
    if gpu:
        claim_gpu(torch.cuda.device_count())  # asks the driver, and does not start CUDA
    device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
    torch.zeros(1, device=device)  # starts CUDA, which is no part of the data's seconds
    start = time.perf_counter()
    data = load_splits(digits, read_parquet(pairs), fold, device)
    data_seconds = time.perf_counter() - start
    log.info("%s/%s fold %s: rounds %s on %s with %d threads", study, model, fold, list(data), device, threads)

    architecture = architectures()[cell["architecture"]]
    example = architecture.build(**cell["options"])
    _check_budget(example, cell["parameter_budget"])
    _check_batches(example, len(next(iter(data.values()))["train"].target), cell["training"]["batch_size"])
    imported = read_tensors(pretrained) if pretrained else None

    def build() -> nn.Module:
        model = architecture.build(**cell["options"])
        if imported:
            model.load_pretrained(imported)
        return model

    strategy = choose(build, device, cell["training"]["batch_size"])
    seeds = [_seeds(cell["seed"], study, fold, round_, cell["fixed_data"]) for round_ in data]

    def replicas_on(data: list[dict[str, Split]]) -> Replicas:
        return strategy(build, data, seeds[: len(data)], cell["training"], cell["objective"], cell["decision"])

    _warm_up(replicas_on, list(data.values()), cell["training"]["batch_size"])
    replicas = replicas_on(list(data.values()))
    splits = list(next(iter(data.values())))
    # One strategy's checkpoint is of no use to another: a job may be killed on a GPU and go on without one.
    key = training_key(cell, f"{code}, {strategy.name}", digits, pairs, *([pretrained] if pretrained else []))
    saved = Checkpoint(checkpoint, key)
    outcome = fit(replicas, splits, saved)

    with whole(weights) as path:
        save_file(replicas.state(), path)
    rounds = list(data)
    frame = pd.DataFrame(outcome.history)
    frame.insert(0, "round", frame.pop("replica").map(dict(enumerate(rounds))))
    with whole(history) as path:
        frame.to_parquet(path, index=False)
    ended = [
        {
            "round": round_,
            "status": outcome.status[r],
            "reason": outcome.reason[r],
            "epochs": int(outcome.epochs[r]),
            "best_epoch": int(outcome.best_epoch[r]),
            "train_seconds": outcome.train_seconds[r],
        }
        for r, round_ in enumerate(rounds)
    ]
    content = {
        "rounds": ended,
        "parameters": count_parameters(example),
        "flops": forward_flops(example),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": threads,
        "strategy": strategy.name,
        "initial_weights": read_origin(pretrained) if pretrained else "random",
        "data_seconds": data_seconds,
        "evaluate_seconds": outcome.evaluate_seconds,
        "environment": environment(),
    }
    with whole(record) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    saved.remove()


def _warm_up(replicas_on: Callable[[list], Replicas], data: list[dict[str, Split]], batch_size: int) -> None:
    """Train and evaluate replicas that nobody keeps on one batch: what first calls cost is in none of the seconds."""
    first = torch.arange(min(batch_size, len(data[0]["train"].target)))
    batch = [{"train": splits["train"].take(first)} for splits in data]
    replicas, active = replicas_on(batch), np.ones(len(batch), dtype=bool)
    replicas.train_epoch(1, active)
    replicas.evaluate("train", 1, active)


def _check_budget(model: torch.nn.Module, budget: int | None) -> None:
    count = count_parameters(model)
    if budget and count > budget:
        raise DataError(f"{count:,} parameters are over the study's parameter_budget of {budget:,}")


def _check_batches(model: nn.Module, pairs: int, batch_size: int) -> None:
    if (pairs % batch_size or batch_size) > 1:
        return
    try:
        deepcopy(model).train()(torch.zeros(1, 2, IMAGE, IMAGE))
    except ValueError as error:  # batch norm that sees a single value; one over maps, or over both images, does not
        message = f"training.batch_size {batch_size}: of {pairs:,} training pairs an epoch's last batch holds one"
        raise DataError(f"{message}, and this model's batch norm needs more") from error


def _seeds(seed: int, study: str, fold: str, round_: int, fixed_data: bool) -> ReplicaSeeds:
    """Seeds do not depend on the model: all models of a study see the same shuffles of the same pairs.

    With fixed data, the epochs of all rounds share their seeds too: only the initial weights differ.
    """
    axes = {"study": study, "fold": fold}
    return ReplicaSeeds(
        weights=derive_seed(seed, purpose="weights", round=round_, **axes),
        epoch=lambda epoch: derive_seed(seed, purpose="epoch", epoch=epoch, round=0 if fixed_data else round_, **axes),
    )

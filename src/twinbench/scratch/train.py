"""Train nets of our own framework: one step, one run, and a job of several rounds.

A net has one output; its target is +1 for label 1 and −1 for label 0, and its decision is the sign.
Shapes: N examples, D features, B examples in a batch.
"""

import json
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from twinbench.files import whole
from twinbench.provenance import environment
from twinbench.scratch.losses import LossMSE
from twinbench.scratch.modules import Linear, Module, ReLU, Sequential, Tanh
from twinbench.scratch.sgd import SGD
from twinbench.seeds import derive_seed

log = logging.getLogger(__name__)

ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}


@dataclass(frozen=True)
class Examples:
    """One split of one round."""

    inputs: Tensor  # (N, D)
    targets: Tensor  # (N, 1), +1 or −1


@dataclass
class Run:
    """How one training ended."""

    status: str = "ok"  # or diverged
    reason: str = "all epochs done"
    epochs: int = 0
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    history: list[dict] = field(default_factory=list)  # epoch, split, loss, accuracy, seconds


def build(
    inputs: int, hidden: list[int], activation: str, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Sequential:
    """Return a dense net: after every hidden layer the activation (``relu`` or ``tanh``), one linear output."""
    modules: list[Module] = []
    for width in hidden:
        modules += [Linear(inputs, width, generator, dtype), ACTIVATIONS[activation]()]
        inputs = width
    return Sequential(*modules, Linear(inputs, 1, generator, dtype))


def step(net: Module, loss: LossMSE, optimizer: SGD, inputs: Tensor, targets: Tensor) -> Tensor:
    """Do one step of gradient descent on a batch (B, D), (B, 1); return the loss before it, shape ()."""
    value = loss.forward(net.forward(inputs), targets)
    net.backward(loss.backward())
    optimizer.step()
    return value


@torch.no_grad()  # autograd is off for everything below
def fit(net: Module, splits: dict[str, Examples], training: dict, seeds: dict) -> Run:
    """Train a net for ``training["epochs"]`` epochs; evaluate every split after each of them, for the record.

    A net whose loss on the training split is not finite stops as ``diverged``.

    Args:
        net: trained in place.
        splits: ``train`` and others.
        training: epochs, batch_size, lr.
        seeds: base seed and named axes of the run, for each epoch's order of the examples.
    """
    loss, optimizer, run, train = LossMSE(), SGD(net.parameters(), training["lr"]), Run(), splits["train"]
    order = torch.Generator()
    for epoch in range(1, training["epochs"] + 1):
        start = time.perf_counter()
        order.manual_seed(derive_seed(**seeds, purpose="epoch", epoch=epoch))
        shuffled = torch.randperm(len(train.inputs), generator=order)
        batches = (tensor[shuffled].split(training["batch_size"]) for tensor in (train.inputs, train.targets))
        for inputs, targets in zip(*batches, strict=True):
            step(net, loss, optimizer, inputs, targets)
        trained = time.perf_counter()
        scores = {name: evaluate(net, split) for name, split in splits.items()}
        run.epochs = epoch
        run.train_seconds += trained - start
        run.evaluate_seconds += time.perf_counter() - trained
        run.history += [
            {"epoch": epoch, "split": name} | score | {"seconds": run.train_seconds} for name, score in scores.items()
        ]
        _log_epoch(run, training["epochs"], scores)
        if not math.isfinite(scores["train"]["loss"]):
            run.status, run.reason = "diverged", f"diverged at epoch {epoch}"
            break
    return run


@torch.no_grad()
def evaluate(net: Module, split: Examples) -> dict[str, float]:
    """Return loss and accuracy of a net on a split."""
    output = net.forward(split.inputs)
    correct = (output > 0) == (split.targets > 0)
    return {"loss": LossMSE().forward(output, split.targets).item(), "accuracy": correct.double().mean().item()}


@torch.no_grad()
def train_rounds(
    cell: dict, data: dict[int, dict[str, Examples]], started: float, *, history: Path, predictions: Path, record: Path
) -> None:
    """Train one net for every round and write what came out.

    Args:
        cell: seed, hidden, activation and training (`planning.ScratchPlan.cell`).
        data: splits of every round; a split ``grid`` is predicted after the training, nothing else.
        started: `time.perf_counter` before the data were loaded.
        history: Parquet, a row a round, epoch and split.
        predictions: Parquet, a row a round, split and example: the net's output after the last epoch. A round that
            diverged has none.
        record: JSON, how each round ended, size and cost of the net, versions and hardware.
    """
    data_seconds = time.perf_counter() - started
    histories, outputs, ended, evaluate_seconds = [], [], [], 0.0
    for round_, splits in data.items():
        seeds = {"base": cell["seed"], "study": "scratch", "round": round_}
        weights = torch.Generator().manual_seed(derive_seed(**seeds, purpose="weights"))
        net = build(splits["train"].inputs.shape[1], cell["hidden"], cell["activation"], weights)
        log.info("round %d: %s", round_, net)
        run = fit(net, {name: split for name, split in splits.items() if name != "grid"}, cell["training"], seeds)
        evaluate_seconds += run.evaluate_seconds
        histories.append(pd.DataFrame(run.history).assign(round=round_))
        for name, split in splits.items():
            table = _predict(net, split, name, round_)
            outputs.append(table if run.status == "ok" else table.iloc[:0])
        ended.append(
            {"round": round_, "status": run.status, "reason": run.reason, "epochs": run.epochs,
             "best_epoch": run.epochs, "train_seconds": run.train_seconds}
        )  # fmt: skip
    for path, tables in ((history, histories), (predictions, outputs)):
        with whole(path) as unfinished:
            pd.concat(tables, ignore_index=True).to_parquet(unfinished, index=False)
    content = {
        "rounds": ended,
        "parameters": sum(parameter.value.numel() for parameter in net.parameters()),
        "flops": sum(2 * module.inputs * module.outputs for module in net.modules if isinstance(module, Linear)),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "data_seconds": data_seconds,
        "evaluate_seconds": evaluate_seconds,
        "environment": environment(),
    }
    with whole(record) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _predict(net: Module, split: Examples, name: str, round_: int) -> pd.DataFrame:
    output = net.forward(split.inputs)[:, 0].numpy()
    label = (split.targets[:, 0] > 0).numpy()
    columns = {"round": round_, "split": name, "point": range(len(output)), "label": label, "output": output}
    return pd.DataFrame(columns).astype({"round": "int32", "point": "int32", "label": "int8"})


def _log_epoch(run: Run, epochs: int, scores: dict[str, dict[str, float]]) -> None:
    parts = [f"{name} loss {score['loss']:.4f} accuracy {score['accuracy']:.1%}" for name, score in scores.items()]
    left = (run.train_seconds + run.evaluate_seconds) / run.epochs * (epochs - run.epochs)
    log.info("epoch %d/%d: %s; %.1f s left", run.epochs, epochs, ", ".join(parts), left)

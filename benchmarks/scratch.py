"""Time one run of the disc task in our framework against the same run in torch.nn with autograd: `make bench-scratch`.

Both train the study's first model from the same weights on the same batches, one thread, evaluation after every epoch
included, and end at the same loss. Runs are interleaved: ours, torch.nn, ours, …; a ratio is of neighbours. Markdown.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_study
from twinbench.config.models import Config
from twinbench.machine import prepare
from twinbench.provenance import processor
from twinbench.scratch.modules import Linear, ReLU, Sequential, Tanh
from twinbench.spec.training import Cell, Training
from twinbench.tasks import draw
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.loop import fit
from twinbench.training.replicas import ReplicaSeeds
from twinbench.training.scratch import ScratchReplicas

SEEDS = ReplicaSeeds(weights=0, epoch=lambda epoch: epoch)
ACTIVATIONS = {ReLU: nn.ReLU, Tanh: nn.Tanh}


def fit_torch(net: nn.Sequential, splits: dict[str, Split], training: Training, fused: bool) -> float:
    """Do what `loop.fit` does, with torch.nn, autograd and torch.optim; return the last training loss."""
    optimizer = torch.optim.SGD(net.parameters(), lr=training.optimizer.lr, fused=fused)
    loss, train, losses = nn.MSELoss(), splits["train"], {}
    targets = {name: (2.0 * split.target - 1).unsqueeze(1) for name, split in splits.items()}
    for epoch in range(1, training.epochs + 1):
        torch.manual_seed(SEEDS.epoch(epoch))
        shuffled = torch.randperm(len(train.inputs))
        batches = (tensor[shuffled].split(training.batch_size) for tensor in (train.inputs, targets["train"]))
        for batch, wanted in zip(*batches, strict=True):
            optimizer.zero_grad()
            loss(net(batch), wanted).backward()
            optimizer.step()
        with torch.no_grad():
            for name, split in splits.items():
                output = net(split.inputs)
                ((output > 0) == (targets[name] > 0)).double().mean().item()
                losses[name] = loss(output, targets[name]).item()
    return losses["train"]


def torch_twin(net: Sequential) -> nn.Sequential:
    """Return the torch.nn net with the same weights."""
    modules: list[nn.Module] = []
    for module in net.modules:
        if isinstance(module, Linear):
            twin = nn.Linear(module.inputs, module.outputs)
            twin.weight.data = module.weight.value.T.contiguous()
            twin.bias.data = module.bias.value.clone()
            modules.append(twin)
        else:
            modules.append(ACTIVATIONS[type(module)]())
    return nn.Sequential(*modules)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--epochs", type=int, help="instead of the study's")
    arguments = parser.parse_args()
    prepare(threads=1)
    config = Config(scale="paper", studies=["disc"], seed=2021, rounds_per_job=1)
    study = load_study(Path("config/studies/disc.yaml"), config)[0]
    name, model = next(iter(study.models.items()))
    training = model.training.model_copy(update={"epochs": arguments.epochs or model.training.epochs})
    points = draw(rounds=range(1), images=None, **study.draw(0))
    splits = load_splits(Cell(**study.cell(name)).inputs, {}, points, "all", torch.device("cpu"))[0]
    splits = {key: splits[key] for key in ("train", "test")}

    def build() -> nn.Module:
        return architectures()[model.architecture].build(**model.options)

    def ours() -> float:
        replicas = ScratchReplicas(build, [splits], [SEEDS], training, model.objective, model.decision)
        return fit(replicas, list(splits)).history[-2]["loss"]

    def theirs(fused: bool) -> float:
        torch.manual_seed(SEEDS.weights)
        return fit_torch(torch_twin(build().net), splits, training, fused)

    ways = {"ours": ours, "torch.nn, SGD": lambda: theirs(False), "torch.nn, SGD fused": lambda: theirs(True)}
    losses = {way: run() for way, run in ways.items()}  # the first run is warm-up, not timed
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.repetitions):
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - began)
    print(f"{model.label}: {study.protocol.pairs.train} points, {training.epochs} epochs, batches of "
          f"{training.batch_size}, one thread, torch {torch.__version__}, {processor()}; "
          f"n = {arguments.repetitions} interleaved runs.\n")  # fmt: skip
    print("| Run | Seconds: median (min to max) | Ours / this: median (min to max) | Last training loss |")
    print("| --- | --- | --- | --- |")
    for way, taken in seconds.items():
        ratios = [a / b for a, b in zip(seconds["ours"], taken, strict=True)]
        print(f"| {way} | {spread(taken)} | {spread(ratios)} | {losses[way]:.5f} |")


def spread(values: list[float]) -> str:
    """Return ``median (min to max)``."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()

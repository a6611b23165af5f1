"""Time one run of the disc task in our framework against the same run in torch.nn with autograd: `make bench-scratch`.

Both train the study's main net from the same weights on the same batches, one thread, evaluation after every epoch
included, and end at the same loss. Runs are interleaved: ours, torch.nn, ours, …; a ratio is of neighbours. Markdown.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from twinbench.config.loading import load_scratch
from twinbench.config.models import Config
from twinbench.machine import prepare
from twinbench.provenance import processor
from twinbench.scratch.disc import draw_points
from twinbench.scratch.disc_inputs import disc_examples
from twinbench.scratch.modules import Linear, Sequential
from twinbench.scratch.train import Examples, build, fit
from twinbench.seeds import derive_seed

SEEDS = {"base": 2021, "study": "scratch", "round": 0}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def fit_torch(net: nn.Sequential, splits: dict[str, Examples], training: dict, fused: bool) -> float:
    """Do what `train.fit` does, with torch.nn, autograd and torch.optim; return the last training loss."""
    optimizer = torch.optim.SGD(net.parameters(), lr=training["lr"], fused=fused)
    loss, order, train = nn.MSELoss(), torch.Generator(), splits["train"]
    for epoch in range(1, training["epochs"] + 1):
        order.manual_seed(derive_seed(**SEEDS, purpose="epoch", epoch=epoch))
        shuffled = torch.randperm(len(train.inputs), generator=order)
        batches = (tensor[shuffled].split(training["batch_size"]) for tensor in (train.inputs, train.targets))
        for inputs, targets in zip(*batches, strict=True):
            optimizer.zero_grad()
            loss(net(inputs), targets).backward()
            optimizer.step()
        with torch.no_grad():
            losses = {name: evaluate_torch(net, loss, split) for name, split in splits.items()}
    return losses["train"]


def evaluate_torch(net: nn.Sequential, loss: nn.MSELoss, split: Examples) -> float:
    """Do what `train.evaluate` does; return the loss."""
    output = net(split.inputs)
    ((output > 0) == (split.targets > 0)).double().mean().item()
    return loss(output, split.targets).item()


def torch_twin(net: Sequential, activation: str) -> nn.Sequential:
    """Return the torch.nn net with the same weights."""
    modules: list[nn.Module] = []
    for module in net.modules:
        if isinstance(module, Linear):
            twin = nn.Linear(module.inputs, module.outputs)
            twin.weight.data = module.weight.value.T.contiguous()
            twin.bias.data = module.bias.value.clone()
            modules.append(twin)
        else:
            modules.append(ACTIVATIONS[activation]())
    return nn.Sequential(*modules)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    repetitions = parser.parse_args().repetitions
    prepare(threads=1)
    scratch = load_scratch(Config(scale="paper", studies=["twin-lenet"], seed=2021, rounds_per_job=1))
    name = scratch.file.main
    entry, training = scratch.nets[name], scratch.trainings[name].model_dump()
    points = draw_points(scratch.protocol.points.model_dump(), seed=SEEDS["base"], rounds=range(1))
    splits = {key: split for key, split in disc_examples(points, training["standardise"])[0].items() if key != "grid"}

    def start() -> Sequential:
        return build(2, entry.hidden, entry.activation, torch.Generator().manual_seed(0))

    def ours() -> float:
        return fit(start(), splits, training, SEEDS).history[-2]["loss"]

    def theirs(fused: bool) -> float:
        return fit_torch(torch_twin(start(), entry.activation), splits, training, fused)

    ways = {"ours": ours, "torch.nn, SGD": lambda: theirs(False), "torch.nn, SGD fused": lambda: theirs(True)}
    losses = {way: run() for way, run in ways.items()}  # the first run is warm-up, not timed
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repetitions):
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - began)
    print(f"{entry.label}: {scratch.protocol.points.train} points, {training['epochs']} epochs, batches of "
          f"{training['batch_size']}, one thread, torch {torch.__version__}, {processor()}; "
          f"n = {repetitions} interleaved runs.\n")  # fmt: skip
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

"""Seconds a round of both replica strategies beside a plain PyTorch loop: `make bench`. Parquet and Markdown.

The plain loop is what a textbook writes: one round after the other, a DataLoader over a TensorDataset, torch.nn's own
layers in the default layout, a branch called once an image, torch.optim as it comes, and like ours an evaluation of all
splits in batches after every epoch. All ways train the study's model at paper scale on the same pairs, one thread.

A run is one epoch with its evaluation. Runs are interleaved: plain, loop, stacked, plain, …; a ratio is of neighbours.
Building, loading and one warm-up epoch are left out alike. A round is as many epochs as the study has.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from twinbench.architectures.catalog import architectures
from twinbench.architectures.layers import SELU, InputConv2d, OnePixelConv2d
from twinbench.architectures.twin import Twin
from twinbench.config.loading import load_studies
from twinbench.config.models import Config
from twinbench.data.pairs import draw_pairs
from twinbench.data.tensors import Split, load_splits
from twinbench.files import read_tensors
from twinbench.machine import prepare
from twinbench.planning import Plan
from twinbench.provenance import processor
from twinbench.training.objectives import decide
from twinbench.training.replicas import EVALUATION_BATCH, LoopReplicas, Replicas, ReplicaSeeds
from twinbench.training.schedule import stage_at
from twinbench.training.stacked import StackedReplicas
from twinbench.training.strategies import choose

DIGITS, RESULTS = Path("results/mnist/digits.safetensors"), Path("results/benchmarks")
MODELS = {
    "twin-lenet": ("shared-auxiliary", "auxiliary"),
    "dense-vs-conv": ("dense-shared-auxiliary", "dense-shared-auxiliary-batch-50", "conv-shared-auxiliary"),
    "siamese-resnets": ("mlp", "convnet", "siamese-classes", "siamese-targets", "conv-resnet", "siamese-resnet"),
    "parameter-budget": ("m2", "m4"),
    "transfer": ("baseline", "auxiliary-loss"),
}


class PlainTwin(nn.Module):
    """Call the branch for the left images, then for the right ones."""

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.left, self.right = branches[0], branches[-1]

    def forward(self, pairs: Tensor) -> Tensor:
        return torch.stack([self.left(pairs[:, :1]), self.right(pairs[:, 1:])], dim=1)


def plain(module: nn.Module) -> nn.Module:
    """Put torch's own layers in the place of ours."""
    if isinstance(module, Twin):
        return plain(PlainTwin(module.branches))
    if isinstance(module, SELU):
        return nn.SELU()
    if isinstance(module, InputConv2d | OnePixelConv2d):
        module.__class__ = nn.Conv2d
    for name, child in list(module._modules.items()):
        setattr(module, name, plain(child))
    return module


class PlainLoop:
    """The textbook's training of one round."""

    def __init__(self, model: nn.Module, splits: dict[str, Split], cell: dict):
        self.model, self.decision, self.objective = plain(model), cell["decision"], cell["objective"]
        self.epochs, settings = cell["training"]["epochs"], cell["training"]["optimizer"]
        if settings["name"] == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings["lr"])
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), settings["lr"], settings["momentum"])
        sets = {name: TensorDataset(split.pairs, split.target, split.digits) for name, split in splits.items()}
        self.train = DataLoader(sets["train"], cell["training"]["batch_size"], shuffle=True)
        self.test = {name: DataLoader(of_split, EVALUATION_BATCH) for name, of_split in sets.items()}

    def loss(self, heads: dict[str, Tensor], target: Tensor, digits: Tensor, weights: dict[str, float]) -> Tensor:
        """Return the weighted losses of the heads, added."""
        loss = torch.zeros(())
        if weights["target"]:
            loss = loss + weights["target"] * functional.cross_entropy(heads["target"], target)
        if weights["digits"]:
            left, right = (functional.cross_entropy(heads["digits"][:, side], digits[:, side]) for side in (0, 1))
            loss = loss + weights["digits"] * (left + right)
        return loss

    def epoch(self, number: int) -> None:
        """Train for one epoch and evaluate."""
        weights = stage_at(self.objective, number, self.epochs).weights
        self.model.train()
        for pairs, target, digits in self.train:
            self.optimizer.zero_grad()
            self.loss(self.model(pairs), target, digits, weights).backward()
            self.optimizer.step()
        self.model.eval()
        with torch.no_grad():
            for loader in self.test.values():
                loss, right = 0.0, 0
                for pairs, target, digits in loader:
                    heads = self.model(pairs)
                    loss += self.loss(heads, target, digits, weights).item() * len(target)
                    right += (decide(heads, self.decision) == target).sum().item()


def ours(
    strategy: type[Replicas], build: Callable[[], nn.Module], data: list[dict[str, Split]], cell: dict
) -> Callable:
    """Return a function that trains all replicas for an epoch and evaluates them, as `loop.fit` does."""
    seeds = [ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 1000 * r + epoch) for r in range(len(data))]
    replicas = strategy(build, data, seeds, cell["training"], cell["objective"], cell["decision"])
    active = np.ones(len(data), dtype=bool)

    def epoch(number: int) -> None:
        replicas.train_epoch(number, active)
        for split in data[0]:
            replicas.evaluate(split, number, active)

    return epoch


def measure(plan: Plan, study: str, model: str, rounds: int, pairs: int, repetitions: int) -> list[dict]:
    """Return a row a way and repetition."""
    cell = plan.cell(study, model)
    labels = read_tensors(DIGITS, ["train_labels", "test_labels"], framework="numpy")
    labels = {part: labels[f"{part}_labels"] for part in ("train", "test")}
    counts = {"train": pairs, "validation": 0, "test": pairs}
    table = draw_pairs(labels, counts, None, seed=0, study=study, rounds=range(rounds))
    data = list(load_splits(DIGITS, table, "all", torch.device("cpu")).values())

    def build() -> nn.Module:
        return architectures()[cell["architecture"]].build(**cell["options"])

    torch.manual_seed(0)
    ways = {
        "plain": (PlainLoop(build(), data[0], cell).epoch, 1),
        "loop": (ours(LoopReplicas, build, data[:1], cell), 1),
        "stacked": (ours(StackedReplicas, build, data, cell), rounds),
    }
    for run, _ in ways.values():
        run(1)
    epochs, batch = cell["training"]["epochs"], cell["training"]["batch_size"]
    chosen = choose(build, torch.device("cpu"), batch).name
    rows = []
    for repetition in range(repetitions):
        for way, (run, count) in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(repetition % epochs + 1)
            took = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
            names = {"study": study, "model": model, "pairs": pairs, "batch_size": batch, "rounds": rounds}
            a_round = {key: seconds * epochs / count for key, seconds in took.items()}
            rows.append(names | {"auto": chosen, "way": way, "repetition": repetition} | a_round)
    return rows


def spread(values: pd.Series) -> str:
    """Return ``median (min to max)``."""
    return f"{statistics.median(values):.2f} ({values.min():.2f} to {values.max():.2f})"


def summary(rows: pd.DataFrame) -> str:
    """Return the Markdown table: processor seconds a round, and how many times faster than the plain loop."""
    columns = ["Study", "Model", "Pairs a step", "Rounds", "Plain, s", "Loop, s", "Stacked, s"]
    columns += ["Plain / loop", "Plain / stacked", "`auto`"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for (study, model), of_model in rows.groupby(["study", "model"], sort=False):
        seconds = of_model.pivot(index="repetition", columns="way", values="cpu_seconds")
        first = of_model.iloc[0]
        cells = [spread(seconds[way]) for way in ("plain", "loop", "stacked")]
        cells += [spread(seconds["plain"] / seconds[way]) for way in ("loop", "stacked")]
        lines.append(f"| {' | '.join(map(str, [study, model, first.batch_size, first.rounds, *cells, first.auto]))} |")
    return "\n".join(lines)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10, help="replicas that are stacked")
    parser.add_argument("--pairs", type=int, default=1000, help="training pairs, and as many test pairs")
    parser.add_argument("--models", nargs="*", help="study/model, instead of those in this file")
    arguments = parser.parse_args()
    prepare(threads=1)
    plan_of = Config(scale="paper", studies=list(MODELS), seed=2021, rounds_per_job=8)
    plan = Plan(plan_of, load_studies(plan_of))
    models = arguments.models or [f"{study}/{model}" for study, names in MODELS.items() for model in names]
    rows: list[dict] = []
    for name in models:
        rows += measure(plan, *name.split("/"), arguments.rounds, arguments.pairs, arguments.repetitions)
        print(summary(pd.DataFrame(rows)).splitlines()[-1], flush=True)
    text = (
        f"Processor seconds a round of {arguments.pairs} training and as many test pairs: median (min to max) of "
        f"n = {arguments.repetitions} interleaved runs, one thread, torch {torch.__version__}, {processor()}.\n\n"
        f"{summary(pd.DataFrame(rows))}\n"
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(RESULTS / "strategies.parquet", index=False)
    (RESULTS / "strategies.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

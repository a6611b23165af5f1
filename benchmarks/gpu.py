"""Loop against stacked replicas on one GPU, in one command: ``PYTHONPATH=src python -m benchmarks.gpu``.

Trains shared-auxiliary of the study twin-lenet at paper scale: 25 epochs of 1,000 pairs in batches of 128, 1,000 test
pairs, both evaluated after every epoch. Needs torch, numpy, pandas, pyarrow, pydantic and safetensors; no
Snakemake, no configuration, no data: the images are noise, on which the seconds do not depend.

The ways take turns on the same GPU. Every time is taken after the device has finished; building, moving the data and
one epoch of each way as warm-up are not in it. Writes results/benchmarks/gpu.parquet and gpu.md.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.tables import markdown, spread, write
from twinbench.architectures.twin_lenet import TwinLeNet
from twinbench.machine import prepare
from twinbench.provenance import processor
from twinbench.spec.objectives import Objective
from twinbench.spec.training import Training
from twinbench.tasks.tensors import Split
from twinbench.training.replicas import LoopReplicas, Replicas, ReplicaSeeds
from twinbench.training.stacked.replicas import StackedReplicas

TRAINING = Training(epochs=25, batch_size=128, optimizer={"name": "adam", "lr": 0.01})
OBJECTIVE = Objective(target=1.0, digits=1.0)


def draw_split(pairs: int, seed: int, device: torch.device) -> Split:
    """Return pairs of noise, with digits at random."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(pairs, 2, 14, 14, generator=generator)
    digits = torch.randint(10, (pairs, 2), generator=generator)
    return Split(images.to(device), (digits[:, 0] <= digits[:, 1]).long().to(device), digits.to(device))


def replicas_of(strategy: type[Replicas], rounds: int, pairs: int, device: torch.device) -> Replicas:
    """Return freshly made replicas with their data on the device."""
    data = [
        {name: draw_split(pairs, 2 * r + part, device) for part, name in enumerate(("train", "test"))}
        for r in range(rounds)
    ]
    seeds = [ReplicaSeeds(weights=r, epoch=lambda epoch, r=r: 1000 * r + epoch) for r in range(rounds)]
    return strategy(TwinLeNet, data, seeds, TRAINING, OBJECTIVE, "target")


def train(replicas: Replicas, epochs: int, device: torch.device) -> dict[str, float]:
    """Train and evaluate; return the seconds of both, of all replicas together."""
    active, seconds = np.ones(len(replicas.data), dtype=bool), {"train": 0.0, "evaluate": 0.0}

    def evaluate(epoch: int) -> None:
        for split in ("train", "test"):
            replicas.evaluate(split, epoch, active)

    for epoch in range(1, epochs + 1):
        seconds["train"] += seconds_of(lambda epoch=epoch: replicas.train_epoch(epoch, active), device)
        seconds["evaluate"] += seconds_of(lambda epoch=epoch: evaluate(epoch), device)
    return seconds


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return wall seconds until the device has finished."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(rounds: int, pairs: int, epochs: int, repetitions: int, device: torch.device) -> pd.DataFrame:
    """Return a row a strategy and repetition: seconds of all rounds together."""
    rows = []
    for strategy in (LoopReplicas, StackedReplicas):
        train(replicas_of(strategy, rounds, pairs, device), 1, device)
    for repetition in range(repetitions):
        for strategy in (LoopReplicas, StackedReplicas):
            seconds = train(replicas_of(strategy, rounds, pairs, device), epochs, device)
            names = {"way": strategy.name, "rounds": rounds, "pairs": pairs, "epochs": epochs}
            rows.append(names | {"repetition": repetition} | seconds)
    return pd.DataFrame(rows)


def text(rows: pd.DataFrame, device: torch.device) -> str:
    """Return the table with what it needs to be read."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({processor()})"
    lines = []
    for rounds, of_rounds in rows.groupby("rounds"):
        loop, stacked = (of_rounds[of_rounds["way"] == way].set_index("repetition") for way in ("loop", "stacked"))
        for part in ("train", "evaluate"):
            ratio = spread(loop[part] / stacked[part])
            lines.append([rounds, part, spread(loop[part]), spread(stacked[part]), f"**{ratio}**"])
    first = rows.iloc[0]
    return (
        f"twin-lenet/shared-auxiliary, {first.pairs:,} training and as many test pairs, {first.epochs} epochs, on "
        f"{name}, torch {torch.__version__.partition('+')[0]}: wall seconds of all rounds together, median "
        f"(quartiles) of n = {rows['repetition'].nunique()} whole trainings that take turns, after warm-up.\n\n"
    ) + markdown(["Rounds", "Part", "Loop, s", "Stacked, s", "Loop / stacked"], lines)


def main() -> None:
    """Run and write; without a GPU say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cpu just to try the script")
    parser.add_argument("--rounds", type=int, nargs="*", default=[32])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=TRAINING.epochs)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use here: nothing measured (--device cpu tries the script on a processor)")
        return
    prepare(threads=1)
    settings = (arguments.pairs, arguments.epochs, arguments.repetitions, device)
    rows = pd.concat([measure(rounds, *settings) for rounds in arguments.rounds], ignore_index=True)
    write("gpu" if device.type == "cuda" else "gpu-trial", rows, text(rows, device))


if __name__ == "__main__":
    main()

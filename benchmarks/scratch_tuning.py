"""Validation errors by which the settings of our own framework were chosen: `make tune-scratch`.

Points and pairs of these rounds are drawn for tuning alone: no round of a study sees these points, and neither test
points nor MNIST's test digits play a part. An error is the mean over the rounds, with its standard deviation. Markdown.
"""

import argparse
import statistics
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from twinbench.architectures.catalog import architectures
from twinbench.files import read_tensors
from twinbench.machine import prepare
from twinbench.seeds import derive_seed
from twinbench.spec.objectives import Objective
from twinbench.spec.training import Inputs, Training
from twinbench.tasks import draw
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.loop import fit
from twinbench.training.replicas import ReplicaSeeds
from twinbench.training.scratch import ScratchReplicas

SEED, ROUNDS = 2021, range(5)
IMAGES = Path("results/images/mnist.safetensors")
DRAWN = {"folds": None, "seed": SEED, "study": "scratch-tuning"}


def seeds(round_: int) -> ReplicaSeeds:
    """Return the seeds of one round's training."""
    of_round = partial(derive_seed, SEED, study="scratch-tuning", round=round_)
    return ReplicaSeeds(of_round(purpose="weights"), lambda epoch: of_round(purpose="epoch", epoch=epoch))


def splits_of(inputs: Inputs, images: dict[str, torch.Tensor], table: pd.DataFrame) -> list[dict[str, Split]]:
    """Return the splits of every round that tuning sees."""
    data = load_splits(inputs, images, table, "all", torch.device("cpu")).values()
    return [{name: splits[name] for name in ("train", "validation")} for splits in data]


def errors(data: list[dict[str, Split]], architecture: str, options: dict, epochs: list[int], **settings) -> str:
    """Return, for some numbers of epochs, the validation error over the rounds, or that some diverged."""
    optimizer = {"name": "sgd", "lr": settings.pop("lr")}
    training = Training(epochs=max(epochs), optimizer=optimizer, **settings)
    build = partial(architectures()[architecture].build, **options)
    objective = Objective(target=1.0)
    replicas = ScratchReplicas(build, data, list(map(seeds, ROUNDS)), training, objective, "target")
    rows = [row for row in fit(replicas, ["train", "validation"]).history if row["split"] == "validation"]
    cells = []
    for epoch in epochs:
        found = [100 * (1 - row["accuracy"]) for row in rows if row["epoch"] == epoch]
        whole = f"{statistics.mean(found):.1f} ± {statistics.stdev(found):.1f} %" if len(found) == len(data) else None
        cells.append(whole or "diverged")
    return " | ".join(cells)


def main() -> None:
    """Run the grid and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="*", default=[25, 50, 100])
    epochs = parser.parse_args().epochs
    prepare(threads=1)
    heading = "".join(f" {epoch} epochs |" for epoch in epochs)
    print(f"Disc, 2×128, lr 0.003: validation error over {len(ROUNDS)} rounds\n")
    print(f"| Activation | Coordinates | Batch size |{heading}\n|{' --- |' * (3 + len(epochs))}")
    counts = {"train": 1000, "validation": 1000}
    points = draw("disc", ROUNDS, None, counts=counts, purpose="tuning", **DRAWN)
    for activation, scaling, batch in product(("relu", "tanh"), ("training", "raw"), (1, 5, 10, 50)):
        data = splits_of(Inputs(task="disc", scaling=scaling), {}, points)
        row = errors(data, "scratch-disc", {"activation": activation}, epochs, batch_size=batch, lr=0.003)
        coordinates = "standardised" if scaling == "training" else "raw"
        print(f"| {activation} | {coordinates} | {batch} | {row} |", flush=True)

    print(f"\nDigit pairs, 392→64→32→1, ReLU: validation error over {len(ROUNDS)} rounds\n")
    print(f"| Learning rate | Batch size |{heading}\n|{' --- |' * (2 + len(epochs))}")
    pairs = draw("pairs", ROUNDS, IMAGES, counts=counts | {"test": 1}, **DRAWN)
    data = splits_of(Inputs(task="pairs", scaling="training"), read_tensors(IMAGES), pairs)
    for lr, batch in product((0.001, 0.003, 0.01), (10, 50)):
        row = errors(data, "scratch-pairs", {}, epochs, batch_size=batch, lr=lr)
        print(f"| {lr} | {batch} | {row} |", flush=True)


if __name__ == "__main__":
    main()

"""What config/scratch.yaml chooses where the report is silent, by validation error: `make tune-scratch`. Markdown.

Points and pairs of these rounds are drawn for tuning alone: no round of the study sees these points, and neither test
points nor MNIST's test digits play a part. An error is the mean over the rounds, with its standard deviation.
"""

import statistics
from itertools import product
from pathlib import Path

import torch

from twinbench.data.pairs import draw_pairs
from twinbench.files import read_tensors
from twinbench.machine import prepare
from twinbench.scratch.disc import draw_points
from twinbench.scratch.disc_inputs import disc_examples
from twinbench.scratch.pair_inputs import pair_examples
from twinbench.scratch.train import Examples, build, fit
from twinbench.seeds import derive_seed

SEED, ROUNDS = 2021, range(5)
EPOCHS = (25, 50, 100)
DIGITS = Path("results/mnist/digits.safetensors")


def errors(data: dict[int, dict[str, Examples]], hidden: list[int], activation: str, training: dict) -> dict[int, str]:
    """Return, for every epoch of ``EPOCHS``, the validation error over the rounds, or that some diverged."""
    found: dict[int, list[float]] = {epoch: [] for epoch in EPOCHS}
    for round_, splits in data.items():
        seeds = {"base": SEED, "study": "scratch-tuning", "round": round_}
        generator = torch.Generator().manual_seed(derive_seed(**seeds, purpose="weights"))
        net = build(splits["train"].inputs.shape[1], hidden, activation, generator)
        chosen = {name: splits[name] for name in ("train", "validation")}
        for row in fit(net, chosen, training | {"epochs": max(EPOCHS)}, seeds).history:
            if row["split"] == "validation" and row["epoch"] in found:
                found[row["epoch"]].append(1 - row["accuracy"])
    return {
        epoch: f"{100 * statistics.mean(of_rounds):.1f} ± {100 * statistics.stdev(of_rounds):.1f} %"
        if len(of_rounds) == len(ROUNDS)
        else "diverged"
        for epoch, of_rounds in found.items()
    }


def main() -> None:
    """Run the grid and print it."""
    prepare(threads=1)
    heading = "".join(f" {epoch} epochs |" for epoch in EPOCHS)
    print(f"Disc, 2×128, lr 0.003: validation error over {len(ROUNDS)} rounds\n")
    print(f"| Activation | Coordinates | Batch size |{heading}\n|{' --- |' * (3 + len(EPOCHS))}")
    points = draw_points({"train": 1000, "validation": 1000}, seed=SEED, rounds=ROUNDS, purpose="tuning")
    for activation, standardise, batch in product(("relu", "tanh"), (True, False), (1, 5, 10, 50)):
        training = {"batch_size": batch, "lr": 0.003}
        row = errors(disc_examples(points, standardise), [128, 128], activation, training)
        coordinates = "standardised" if standardise else "raw"
        print(f"| {activation} | {coordinates} | {batch} | {' | '.join(row.values())} |", flush=True)

    print(f"\nDigit pairs, 392→64→32→1, ReLU: validation error over {len(ROUNDS)} rounds\n")
    print(f"| Learning rate | Batch size |{heading}\n|{' --- |' * (2 + len(EPOCHS))}")
    tensors = read_tensors(DIGITS, ["train_labels", "test_labels"], framework="numpy")
    labels = {part: tensors[f"{part}_labels"] for part in ("train", "test")}
    counts = {"train": 1000, "validation": 1000, "test": 1}
    data = pair_examples(DIGITS, draw_pairs(labels, counts, None, seed=SEED, study="scratch-tuning", rounds=ROUNDS))
    for lr, batch in product((0.001, 0.003, 0.01), (10, 50)):
        row = errors(data, [64, 32], "relu", {"batch_size": batch, "lr": lr})
        print(f"| {lr} | {batch} | {' | '.join(row.values())} |", flush=True)


if __name__ == "__main__":
    main()

"""How seconds grow with pairs, rounds and models, for a dense, a convolutional and a residual net: `make bench`.

Pairs and rounds: processor seconds of an epoch with its evaluation, after one of warm-up, times the study's epochs.
Models: how long Snakemake plans, because training jobs do not know of each other and their seconds add up.
"""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from benchmarks.studies import STUDIES, strategy_of, studies, task_of
from benchmarks.tables import RESULTS, machine, markdown, spread, write
from benchmarks.ways import interleaved
from twinbench.figures.style import new_figure, save

COLOURS = {
    "dense-vs-conv/dense-shared-auxiliary": "#0072B2",
    "twin-lenet/shared-auxiliary": "#D55E00",
    "siamese-resnets/conv-resnet": "#117733",
}
LINES = {"plain": ":", "loop": "-", "stacked": "--"}
PAIRS, TEST_PAIRS, STACKED = (250, 1000, 4000, 16_000), 1000, 10
ROUNDS, PAIRS_A_ROUND = (1, 4, 16, 64), 250


def over_pairs(name: str, repetitions: int) -> pd.DataFrame:
    """Return seconds a round of the plain loop and of ours, by training pairs; the test pairs stay as they are."""
    tables = []
    for pairs in PAIRS:
        task = task_of(name, {"train": pairs, "validation": 0, "test": TEST_PAIRS})
        chosen = strategy_of(task)
        ours = replace(task, rounds=STACKED if chosen == "stacked" else 1)
        tables.append(
            interleaved({"plain": task, chosen: ours}, repetitions, seconds=4).assign(grows="pairs", size=pairs)
        )
    return pd.concat(tables)


def over_rounds(name: str, repetitions: int) -> pd.DataFrame:
    """Return seconds of all rounds, by their number: of the loop and, where that is chosen, stacked."""
    tables = []
    for rounds in ROUNDS:
        task = replace(task_of(name, {"train": PAIRS_A_ROUND, "validation": 0, "test": PAIRS_A_ROUND}), rounds=rounds)
        found = interleaved(dict.fromkeys(["loop", strategy_of(task)], task), repetitions, seconds=4)
        tables.append(found.assign(grows="rounds", size=rounds, cpu=found["cpu"] * rounds))
    return pd.concat(tables)


def over_models(repetitions: int) -> pd.DataFrame:
    """Return wall seconds of a dry run of the whole workflow at paper scale, by the number of models."""
    rows = []
    for count in range(1, len(STUDIES) + 1):
        settings = ["scale=paper", f"studies=[{','.join(STUDIES[:count])}]", "sweeps=false"]
        options = ["--dry-run", "--forceall", "--quiet", "rules", "--config", *settings]
        command = [sys.executable, "-m", "snakemake", *options]
        models = sum(len(studies()[study].models) for study in STUDIES[:count])
        for repetition in range(repetitions):
            start = time.perf_counter()
            planned = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
            seconds = time.perf_counter() - start
            jobs = int(re.search(r"^total +(\d+)", planned.stdout, re.MULTILINE)[1])
            rows.append({"grows": "models", "size": models, "repetition": repetition, "jobs": jobs, "wall": seconds})
    return pd.DataFrame(rows)


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Draw seconds over pairs and over rounds, both axes logarithmic."""
    figure, lines = new_figure(8, 4), {}
    for axes, grows in zip(figure.subplots(1, 2), ("pairs", "rounds"), strict=True):
        for (name, way), of_line in rows[rows["grows"] == grows].groupby(["name", "way"], sort=False):
            medians = of_line.groupby("size")["cpu"].median()
            (line,) = axes.plot(medians.index, medians, LINES[way], marker=".", color=COLOURS[name])
            lines[f"{name}, {way}"] = line
        _label(axes, grows)
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2)
    save(figure, path)


def _label(axes: Axes, grows: str) -> None:
    sizes = {"pairs": PAIRS, "rounds": ROUNDS}[grows]
    axes.set(xscale="log", yscale="log", xlabel={"pairs": "training pairs", "rounds": "rounds"}[grows])
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_ylabel(
        {"pairs": "processor s a round", "rounds": f"processor s of all rounds, {PAIRS_A_ROUND} pairs"}[grows]
    )


def table(rows: pd.DataFrame, grows: str, sizes: tuple[int, ...]) -> str:
    """Return the Markdown table of one growth: a line a model and way."""
    lines = []
    for (name, way), of_line in rows[rows["grows"] == grows].groupby(["name", "way"], sort=False):
        lines.append([name, way, *(spread(of_line[of_line["size"] == size]["cpu"]) for size in sizes)])
    return markdown(["Model", "Way", *(f"{size:,} {grows if size > 1 else grows[:-1]}" for size in sizes)], lines)


def text(rows: pd.DataFrame) -> str:
    """Return the three tables with what they need to be read."""
    models = [
        [size, int(of_size["jobs"].iloc[0]), spread(of_size["wall"])]
        for size, of_size in rows[rows["grows"] == "models"].groupby("size")
    ]
    return "\n\n".join([
        f"Processor seconds a round over training pairs, with {TEST_PAIRS:,} test pairs; stacked: {STACKED} rounds; "
        "epochs times those of the study: median (quartiles) of as many as take 4 s, one if it takes longer; "
        f"{machine()}.",
        table(rows, "pairs", PAIRS),
        f"Processor seconds of all rounds together, each of {PAIRS_A_ROUND} training and as many test pairs:",
        table(rows, "rounds", ROUNDS),
        "Wall seconds of planning, `snakemake --dry-run` at paper scale without sweeps:",
        markdown(["Models", "Jobs", "Planning, s"], models),
    ])  # fmt: skip


def main() -> None:
    """Run, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=list(COLOURS), choices=list(COLOURS))
    arguments = parser.parse_args()
    tables = [over_models(arguments.repetitions)]
    for name in arguments.models:
        for grown in (over_pairs, over_rounds):
            tables.append(grown(name, arguments.repetitions).assign(name=name))
            print(f"{name}: {grown.__name__} done", flush=True)
    rows = pd.concat(tables, ignore_index=True)
    write("scaling", rows, text(rows))
    draw(rows, RESULTS / "scaling.png")


if __name__ == "__main__":
    main()

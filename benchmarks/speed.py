"""Seconds a round of every model beside a plain PyTorch loop, share of the machine's peak, memory: `make bench`.

A round is a training for all epochs at paper scale, each with its evaluation; on one fold where there are folds, and
without early stopping. Ours is the strategy that a training job chooses. Seconds are processor time, which what else
the machine does disturbs less; on an idle machine they are wall time.
"""

import argparse
from dataclasses import replace

import pandas as pd

from benchmarks.studies import every_model, strategy_of, task_of
from benchmarks.tables import machine, markdown, number, spread, write
from benchmarks.ways import interleaved
from benchmarks.work import SIZES, peak_flops, round_flops

# Of these, both strategies are measured: `strategies.choose` rests on it.
BOTH = (
    "twin-lenet/shared-auxiliary", "siamese-resnets/mlp", "siamese-resnets/siamese-classes", "parameter-budget/m2",
    "transfer/baseline", "dense-vs-conv/dense-shared-auxiliary", "dense-vs-conv/dense-shared-auxiliary-batch-50",
    "dense-vs-conv/conv-shared-auxiliary",
)  # fmt: skip


def measure(name: str, stacked_rounds: int, repetitions: int) -> pd.DataFrame:
    """Return a row a way and repetition of ``study/model``."""
    task = task_of(name)
    chosen = strategy_of(task)
    tasks = {"plain": task, "loop": task, "stacked": replace(task, rounds=stacked_rounds)}
    tasks = {way: task for way, task in tasks.items() if way in ("plain", chosen) or name in BOTH}
    columns = {"name": name, "chosen": chosen, "batch_size": task.cell["training"]["batch_size"]}
    return interleaved(tasks, repetitions).assign(**columns, flops=round_flops(task))


def of_way(rows: pd.DataFrame, way: str, column: str = "cpu") -> pd.Series:
    """Return a column of one way, by repetition; empty if the way was not measured."""
    return rows[rows["way"] == way].set_index("repetition")[column]


def model_row(rows: pd.DataFrame, peak: float) -> list[object]:
    """Return a model's row of the first table; rows are its own."""
    first = rows.iloc[0]
    ours, theirs = of_way(rows, first.chosen), of_way(rows, "plain")
    shares = [f"{first.flops / seconds.median() / peak:.1%}" for seconds in (theirs, ours)]
    memory = [number(of_way(rows, way, "peak_mib").max()) for way in ("plain", first.chosen)]
    rounds = of_way(rows, first.chosen, "rounds").iloc[0]
    chosen = f"{rounds} {first.chosen}" if rounds > 1 else first.chosen
    return [first["name"], first.batch_size, chosen, spread(theirs), spread(ours), f"**{spread(theirs / ours)}**",
            *shares, *memory]  # fmt: skip


def strategy_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the second table."""
    loop, stacked = of_way(rows, "loop"), of_way(rows, "stacked")
    first = rows.iloc[0]
    return [first["name"], first.batch_size, spread(loop), spread(stacked), spread(loop / stacked), first.chosen]


def text(rows: pd.DataFrame, peak: float) -> str:
    """Return both tables with what they need to be read."""
    models = [of_model for _, of_model in rows.groupby("name", sort=False)]
    both = [of_model for of_model in models if {"loop", "stacked"} <= set(of_model["way"])]
    idle = rows["wall"].sum() / rows["cpu"].sum()
    intro = (
        f"Processor seconds a round: median (min to max) of n = {rows['repetition'].max() + 1} interleaved epochs, "
        f"times the study's epochs; {machine()}. Wall time was {idle:.2f} times processor time. "
        f"Peak: {number(peak / 1e9)} GFLOP/s, the fastest square float32 product of {min(SIZES)} to {max(SIZES)} rows."
    )
    columns = ["Model", "Pairs a step", "Ours", "Plain, s", "Ours, s", "Plain / ours", "Of peak: plain", "ours"]
    tables = [markdown([*columns, "MiB: plain", "ours"], [model_row(of_model, peak) for of_model in models])]
    if both:
        columns = ["Model", "Pairs a step", "Loop, s", "Stacked, s", "Loop / stacked", "Chosen"]
        tables.append(markdown(columns, map(strategy_row, both)))
    return "\n\n".join([intro, *tables])


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5, help="epochs of each way and model")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that are stacked")
    parser.add_argument("--models", nargs="*", help="study/model, instead of all")
    arguments = parser.parse_args()
    peak, tables = peak_flops(), []
    for name in arguments.models or every_model():
        tables.append(measure(name, arguments.rounds, arguments.repetitions))
        print(markdown([], [model_row(tables[-1], peak)]).splitlines()[-1], flush=True)
    peak = max(peak, peak_flops())
    rows = pd.concat(tables, ignore_index=True).assign(peak_flops=peak)
    write("speed", rows, text(rows, peak))


if __name__ == "__main__":
    main()

"""Seconds a round of every model beside a plain PyTorch loop, share of the machine's peak, memory: `make bench`.

A round is a training for all epochs at paper scale, each with its evaluation; on one fold where there are folds, and
without early stopping. Ours is the strategy that a training job chooses. Seconds are processor time, which what else
the machine does disturbs less; on an idle machine they are wall time.
"""

import argparse
from dataclasses import replace

import pandas as pd
from torch import nn

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

SLOW = 4  # nanoseconds a number that torch.expm1 takes: 1 or 12, see docs/performance.md


def measure(name: str, stacked_rounds: int, repetitions: int) -> pd.DataFrame:
    """Return a row a way and repetition of ``study/model``."""
    task = task_of(name)
    chosen = strategy_of(task)
    tasks = {"plain": task, "loop": task, "stacked": replace(task, rounds=stacked_rounds)}
    tasks = {way: task for way, task in tasks.items() if way in ("plain", chosen) or name in BOTH}
    columns = {"name": name, "chosen": chosen, "batch_size": task.cell.training.batch_size}
    selu = any(isinstance(layer, nn.SELU) for layer in task.build().modules())
    return interleaved(tasks, repetitions, seconds=12).assign(**columns, selu=selu, flops=round_flops(task))


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
    return [first["name"], first.batch_size, chosen, len(ours), spread(theirs), spread(ours),
            f"**{spread(theirs / ours)}**", *shares, *memory]  # fmt: skip


def strategy_row(rows: pd.DataFrame) -> list[object]:
    """Return a model's row of the second table."""
    loop, stacked = of_way(rows, "loop"), of_way(rows, "stacked")
    first = rows.iloc[0]
    return [first["name"], first.batch_size, spread(loop), spread(stacked), spread(loop / stacked), first.chosen]


def state_row(rows: pd.DataFrame, slow: pd.Series) -> list[object]:
    """Return a model's row of the third table: the ratio in either state of the machine (``slow``: by row)."""
    cells = [rows["name"].iloc[0]]
    for of_state in (rows[~slow], rows[slow]):
        ratio = of_way(of_state, "plain") / of_way(of_state, rows["chosen"].iloc[0])
        cells += [len(ratio), spread(ratio) if len(ratio) else "–"]
    return cells


def text(rows: pd.DataFrame, peak: float) -> str:
    """Return the tables with what they need to be read."""
    models = [of_model for _, of_model in rows.groupby("name", sort=False)]
    both = [of_model for of_model in models if {"loop", "stacked"} <= set(of_model["way"])]
    idle = rows["wall"].sum() / rows["cpu"].sum()
    intro = (
        f"Processor seconds a round: median (quartiles) of n interleaved epochs times those of the study; {machine()}. "
        f"Wall time was {idle:.2f} times processor time. "
        f"Peak: {number(peak / 1e9)} GFLOP/s, the fastest square float32 product of {min(SIZES)} to {max(SIZES)} rows, "
        "by torch.mm or oneDNN."
    )
    columns = ["Model", "Pairs a step", "Ours", "n", "Plain, s", "Ours, s", "Plain / ours", "Of peak: plain", "ours"]
    tables = [markdown([*columns, "MiB: plain", "ours"], [model_row(of_model, peak) for of_model in models])]
    if both:
        columns = ["Model", "Pairs a step", "Loop, s", "Stacked, s", "Loop / stacked", "Chosen"]
        tables.append(markdown(columns, map(strategy_row, both)))
    slow = rows["expm1_ns"] > SLOW
    if with_selu := [of_model for of_model in models if of_model["selu"].all()]:
        columns = ["Nets with SELU", "n, fast", "Plain / ours, fast", "n, slow", "Plain / ours, slow"]
        tables.append(markdown(columns, (state_row(of_model, slow[of_model.index]) for of_model in with_selu)))
        tables.append(
            f"Fast and slow: torch.expm1 took less or more than {SLOW} ns a number just before; its times went from "
            f"{number(rows['expm1_ns'].min())} to {number(rows['expm1_ns'].max())} ns."
        )
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

"""The one way to time: what is compared takes turns, n times, and a ratio is of neighbours.

What else the machine does then hits all ways alike. A way that needs settings of its own runs in a process of its own;
one process works at a time.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context

import numpy as np
import pandas as pd

MOST = 25  # turns, however short

Run = Callable[[float], dict[str, float]]  # from the turn's place among all turns, 0 to 1, to what it took, by name


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds of some work: processor time, unless told, which other work disturbs less than wall time."""
    start = clock()
    work()
    return clock() - start


def timed(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> Run:
    """Return a run whose ``seconds`` are those of some work."""
    return lambda _: {"seconds": seconds(work, clock)}


def interleaved(runs: dict[str, Run], repetitions: int, at_least: float = 0) -> pd.DataFrame:
    """Return a row per way and repetition: ``way``, ``repetition`` and what the run took.

    A first turn as warm-up is not in it, nor a second one that tells how long a turn takes.

    Args:
        runs: the ways, by name.
        repetitions: turns of each way, at least.
        at_least: turns go on for about so many seconds, up to `MOST` turns.
    """
    for _ in range(2 if at_least else 1):
        took = seconds(lambda: [run(0) for run in runs.values()], time.perf_counter)
    repetitions = max(repetitions, min(int(at_least / took), MOST))
    places = enumerate(np.linspace(0, 1, repetitions).tolist())
    rows = [{"way": way, "repetition": n} | run(place) for n, place in places for way, run in runs.items()]
    return pd.DataFrame(rows)


def by_way(rows: pd.DataFrame, column: str = "seconds") -> pd.DataFrame:
    """Return a column by repetition, with a column per way: a quotient of two of them is of neighbours."""
    return rows.pivot(index="repetition", columns="way", values=column)


@contextmanager
def own_processes(ways: dict[str, Callable[[], Run]]) -> Iterator[dict[str, Run]]:
    """Start a process for every way, which makes its run there; give functions that have it run.

    The processes start from nothing: no memory or setting is the parent's.
    """
    with ExitStack() as stack:
        runs = {}
        for name, make in ways.items():
            process = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _start, (make,)))
            runs[name] = lambda place, process=process: process.submit(_run, place).result()
        yield runs


def _start(make: Callable[[], Run]) -> None:
    global _made  # of this process, which has one run
    _made = make()


def _run(place: float) -> dict[str, float]:
    return _made(place)

"""Start-up of a job: wall seconds of Python and of its imports, with a warm disk cache."""

import subprocess
import sys
import time
from functools import partial

import pandas as pd

from benchmarks.page import markdown, spread
from benchmarks.timing import by_way, interleaved, timed
from twinbench.provenance import processor

PROGRAMS = {
    "Python alone": "pass",
    "torch": "import torch",
    "a training job: `training.cell` and what it needs": "import twinbench.training.cell",
    "torch, and a `torch.optim.Adam`": "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)])",
    "torch, and torchvision's ResNet-18": "from torchvision.models import resnet18",
}


def run(_: list[str], repetitions: int, at_least: float) -> tuple[pd.DataFrame, str]:
    """Measure all programs."""
    commands = {program: [sys.executable, "-c", code] for program, code in PROGRAMS.items()}
    starts = {program: partial(subprocess.run, command, check=True) for program, command in commands.items()}
    runs = {program: timed(start, time.perf_counter) for program, start in starts.items()}
    rows = interleaved(runs, repetitions, at_least)
    took = by_way(rows)
    intro = f"Wall seconds, median (quartiles) of n = {len(took)} interleaved runs, {processor()}."
    return rows, intro + "\n\n" + markdown(["Program", "Seconds"], [[name, spread(took[name])] for name in PROGRAMS])

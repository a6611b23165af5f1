"""What a job takes before it does anything: wall seconds of Python and imports, disk cache warm: `make bench`."""

import argparse
import subprocess
import sys
import time

import pandas as pd

from benchmarks.tables import markdown, spread, write
from twinbench.provenance import processor

PROGRAMS = {
    "Python alone": "pass",
    "torch": "import torch",
    "a training job: `training.cell` and what it needs": "import twinbench.training.cell",
    "torch, and a `torch.optim.Adam`": "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)])",
    "torch, and torchvision's ResNet-18": "from torchvision.models import resnet18",
}


def measure(repetitions: int) -> pd.DataFrame:
    """Return a row a program and repetition, interleaved; a first run of each as warm-up is not in it."""
    rows = []
    for repetition in range(-1, repetitions):
        for program, code in PROGRAMS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            rows.append({"program": program, "repetition": repetition, "wall": time.perf_counter() - start})
    rows = pd.DataFrame(rows)
    return rows[rows["repetition"] >= 0]


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    rows = measure(parser.parse_args().repetitions)
    lines = [[program, spread(found["wall"])] for program, found in rows.groupby("program", sort=False)]
    intro = f"Wall seconds, median (quartiles) of n = {rows['repetition'].nunique()} interleaved runs, {processor()}."
    write("startup", rows, f"{intro}\n\n{markdown(['Program', 'Seconds'], lines)}")


if __name__ == "__main__":
    main()

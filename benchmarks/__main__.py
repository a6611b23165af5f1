"""Measure and write results/benchmarks: ``python -m benchmarks [name …]``; `make bench` measures what it can here."""

import argparse
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.page import PAGES, write
from benchmarks.tasks import models


def possible() -> list[str]:
    """Return what is measured if nothing is named; `make tune-scratch` names tuning, which is no matter of speed."""
    shares = ["shares"] if Path("results/paper/cells").exists() else []
    return ["speed", "startup", *shares, *(["gpu"] if torch.cuda.is_available() else [])]


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=PAGES, help="instead of all")
    parser.add_argument(
        "--models", nargs="*", default=[], choices=models(), metavar="STUDY/MODEL", help="instead of all"
    )
    parser.add_argument("--repetitions", type=int, default=5, help="turns of everything that is compared, at least")
    parser.add_argument("--seconds", type=float, default=12, help="for which turns go on, up to 25")
    arguments = parser.parse_args()
    for name in arguments.names or possible():
        benchmark = import_module(f"benchmarks.{name}")
        write(name, *benchmark.run(arguments.models, arguments.repetitions, arguments.seconds))


if __name__ == "__main__":
    main()

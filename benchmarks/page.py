"""How measurements are written, and put into the docs, so that nobody pastes a number: `make publish-bench`.

The text of results/benchmarks/<name>.md goes between ``<!-- <name> -->`` and ``<!-- end of <name> -->``; what was not
measured here stays as it is.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch

from twinbench.provenance import processor
from twinbench.report.publish import fill

RESULTS = Path("results/benchmarks")
PAGES = {name: Path("docs/performance.md") for name in ("speed", "startup", "shares", "gpu")}
PAGES |= {"tuning": Path("docs/scratch.md")}


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, whole ones with a comma at the thousands; never as 1e+03."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}".rstrip(".")


def spread(values: pd.Series, digits: int = 3) -> str:
    """Return ``median (first to third quartile)`` with so many significant digits; of one value just that."""
    if len(values) == 1:
        return number(values.iloc[0], digits)
    middle, low, high = (number(value, digits) for value in values.quantile([0.5, 0.25, 0.75]))
    return f"{middle} ({low} to {high})"


def markdown(columns: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (columns, *rows)]
    return "\n".join([lines[0], f"|{' --- |' * len(columns)}", *lines[1:]])


def machine() -> str:
    """Return what the numbers were measured with, as the end of a sentence.

    A virtual machine's processor has one name for several generations; family and model tell them apart.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    generation = dict(re.findall(r"^(cpu family|model)\s*: (\d+)$", lines, re.MULTILINE))
    names = [processor(), *(f"{name} {number}" for name, number in generation.items())]
    return f"one thread, torch {torch.__version__.partition('+')[0]}, {', '.join(names)}"


def write(name: str, rows: pd.DataFrame, text: str) -> None:
    """Write results/benchmarks/<name>.md and .parquet, and print the Markdown."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    rows.to_parquet(RESULTS / f"{name}.parquet", index=False)
    print(text)


def main() -> None:
    """Fill the pages with what there is."""
    for name, page in PAGES.items():
        if (measured := RESULTS / f"{name}.md").exists():
            text = measured.read_text(encoding="utf-8").strip()
            page.write_text(fill(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")
            print(f"{page}: {name}")


if __name__ == "__main__":
    main()

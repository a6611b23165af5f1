"""Publish a finished report: `make publish` copies it to docs/report and puts its counts into the README."""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd

from twinbench.evaluation.reproduction import count
from twinbench.report.reproduction import finding
from twinbench.report.tables import markdown_table

HEADER = ["Study", "Published test results", "as described", "as run", "neither", "no verdict"]


def publish(results: Path, docs: Path, readme: Path) -> None:
    """Copy report, its figures and the tables of a scale to ``docs`` and write the table of counts in ``readme``."""
    if docs.exists():
        shutil.rmtree(docs)
    # The folder may also hold figures of an earlier run, which this report does not show.
    shown = re.findall(r"\]\((figures/[^)]+)\)", (results / "report.md").read_text(encoding="utf-8"))
    for name in ["report.md", *(path.name for path in results.glob("*.parquet")), *shown]:
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(results / name, docs / name)
    counts = counts_text(pd.read_parquet(results / "reproduction.parquet"))
    readme.write_text(fill(readme.read_text(encoding="utf-8"), "reproduced", counts), encoding="utf-8")


def fill(page: str, name: str, text: str) -> str:
    """Return a page with the text between ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        ValueError: the page has no place for it.
    """
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no place for {name}")
    return place.sub(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", page)


def counts_text(table: pd.DataFrame) -> str:
    """Return how many published test results are reproduced, a row per study, and a sentence on all values."""
    parts = {f"`{name}`": rows for name, rows in table.groupby("study", sort=False)} | {"all": table}
    rows = []
    for name, of_study in parts.items():
        of_main = count(of_study, main=True)
        numbers = (of_main.total, of_main.described, of_main.run, of_main.neither, of_main.unjudged)
        rows.append([name, *map(str, numbers)])
    everything = finding(count(table), "published value", "all splits and losses, without seconds")
    return f"{markdown_table(HEADER, rows)}\n\n{everything[0].upper()}{everything[1:]}."


if __name__ == "__main__":
    publish(Path(sys.argv[1]), Path("docs/report"), Path("README.md"))

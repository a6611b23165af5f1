"""Put what the benchmarks wrote into docs/performance.md, so that nobody pastes a number: `make publish-bench`.

The table of results/benchmarks/<name>.md goes between ``<!-- <name> -->`` and ``<!-- end of <name> -->``; what was not
measured here stays as it is.
"""

import re
import shutil
from pathlib import Path

from benchmarks.tables import RESULTS

PAGE = Path("docs/performance.md")
TABLES = ("speed", "parts", "startup", "shares", "scaling", "gpu")
FIGURE = "scaling.png"


def fill(page: str, tables: dict[str, str]) -> str:
    """Return the page with each table between its marks.

    Raises:
        ValueError: the page has no place for a table.
    """
    for name, table in tables.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not place.search(page):
            raise ValueError(f"{PAGE} has no place for the table {name}")
        page = place.sub(lambda marks, table=table: f"{marks[1]}\n{table}\n\n{marks[2]}", page)
    return page


def main() -> None:
    """Fill the page with what there is."""
    paths = [path for path in sorted(RESULTS.glob("*.md")) if path.stem in TABLES]
    tables = {path.stem: path.read_text(encoding="utf-8").strip() for path in paths}
    if "scaling" in tables and (figure := RESULTS / FIGURE).exists():
        shutil.copy(figure, PAGE.with_name(f"performance-{FIGURE}"))
        tables["scaling"] = (
            f"![Seconds over training pairs and over rounds](performance-{FIGURE})\n\n{tables['scaling']}"
        )
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    print(f"{PAGE}: {', '.join(tables) or 'nothing'} put in")


if __name__ == "__main__":
    main()

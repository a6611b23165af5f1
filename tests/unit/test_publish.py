"""Tests of `make publish`: it copies the files of the report, and puts its counts into the README."""

import pandas as pd
import pytest

from twinbench.report.publish import fill, publish

PAGE = "# Page\n\n<!-- reproduced -->\nold\n<!-- end of reproduced -->\n\nMore.\n"


def values(study, *outcomes, main=True, metric="accuracy"):
    """Rows of the described models: a value per outcome, in intervals that are not wide."""
    return pd.DataFrame(
        [{"study": study, "metric": metric, "main": main, "role": "described", "outcome": outcome, "half_width": 0.01}
         for outcome in outcomes]
    )  # fmt: skip


def test_publishing_replaces_the_old_report_and_counts_the_values(tmp_path):
    results, docs, readme = tmp_path / "results", tmp_path / "docs/report", tmp_path / "README.md"
    (results / "figures/a").mkdir(parents=True)
    (results / "figures/a/curves.png").write_bytes(b"picture")
    (results / "figures/a/old.png").write_bytes(b"a picture that the report does not show")
    (results / "report.md").write_text("![Curves](figures/a/curves.png)", encoding="utf-8")
    (results / "logs").mkdir()
    table = pd.concat([
        values("a", "as described", "as run", "neither"), values("b", "as described", "no verdict"),
        values("b", "neither", "as described", main=False, metric="loss"), values("b", "no verdict", main=False, metric="seconds"),
    ])  # fmt: skip
    table.to_parquet(results / "reproduction.parquet")
    docs.mkdir(parents=True)
    (docs / "sweeps.parquet").write_text("of an older version", encoding="utf-8")
    readme.write_text(PAGE, encoding="utf-8")
    publish(results, docs, readme)
    found = {path.relative_to(docs).as_posix() for path in docs.rglob("*") if path.is_file()}
    assert found == {"report.md", "reproduction.parquet", "figures/a/curves.png"}
    page = readme.read_text(encoding="utf-8")
    assert page.startswith("# Page\n\n<!-- reproduced -->\n\n| Study |")
    assert page.endswith("<!-- end of reproduced -->\n\nMore.\n")
    assert "old" not in page
    # study, test results, as described, as run, neither, no verdict
    for row in ("| `a` | 3 | 1 | 1 | 1 | 0 |", "| `b` | 2 | 1 | 0 | 0 | 1 |", "| all | 5 | 2 | 1 | 1 | 1 |"):
        assert row in page
    assert "4 of 7 published values" in page  # the losses too, the seconds not


def test_a_page_without_a_place_is_refused():
    with pytest.raises(ValueError, match="no place for other"):
        fill(PAGE, "other", "text")

"""Write report.md from the Parquet tables and the configuration; the same inputs give the same bytes."""

from pathlib import Path

import jinja2
import pandas as pd
import yaml

from twinbench.evaluation.statistics import Summary, reported
from twinbench.evaluation.verdicts import Measured, is_smaller
from twinbench.provenance import PACKAGES
from twinbench.report import tables
from twinbench.report.errors import diagonal_groups, diagonal_rows
from twinbench.report.sweeps import sweep_parts


def build_report(
    plan: dict,
    captions: dict[str, str],
    missing: list[dict],
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    errors: pd.DataFrame,
    template: Path,
    output: Path,
    scratch: dict | None = None,
    sweeps: pd.DataFrame | None = None,
) -> None:
    """Render the Markdown report.

    Args:
        plan: `planning.Plan.report`.
        captions: caption of every figure by name.
        missing: study, model, fold, rounds and log of each training job that a partial report does without.
        metrics, cells, errors: all studies' tables.
        template: Jinja template.
        output: ``report.md``; figures are linked relative to its folder, as ``figures/<study>/<figure>.png``.
        scratch: `scratch.scratch_part`; None if that study is off.
        sweeps: all studies' sweeps; None if they are off.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": lambda value: f"{100 * value:.1f} %", "yaml": _yaml, "inline": _inline}
    studies = {
        name: _study(name, study, metrics, cells, errors) | {"sweeps": sweep_parts(study, sweeps)}
        for name, study in plan["studies"].items()
    }
    content = environment.from_string(template.read_text(encoding="utf-8")).render(
        config=plan["config"],
        plan=plan,
        scratch=scratch,
        studies=studies,
        captions=captions,
        missing=[cell | {"why": _why(Path(cell["log"]))} for cell in missing],
        replicas=len(cells),
        failures=tables.failure_rows(cells),
        environment_rows=tables.environment_rows(cells),
        table=tables.markdown_table,
        packages=list(PACKAGES),
        seconds=f"{cells['train_seconds'].sum() + cells['evaluate_seconds'].sum():,.0f}",
    )
    output.write_text(content, encoding="utf-8")


def _study(name: str, study: dict, metrics: pd.DataFrame, cells: pd.DataFrame, errors: pd.DataFrame) -> dict:
    """Return a study's part of the plan with its tables and the sentences that need numbers."""
    cells, errors = (table[table["study"] == name] for table in (cells, errors))
    values = reported(metrics[metrics["study"] == name])
    majority = values.query("model == 'constant' and split == 'test' and metric == 'accuracy'")["value"]
    measured = Measured(metrics[metrics["study"] == name], cells, study["protocol"], is_smaller(study["reduced"]))
    return study | {
        "name": name,
        "finding": _finding(study, measured),
        "fewer": {model["label"]: model["rounds"] for model in study["models"].values()
                  if model["rounds"] and model["rounds"] < study["protocol"]["rounds"]},
        "validation": tables.fold_rows(study, metrics[metrics["study"] == name]) if study["protocol"]["folds"] else [],
        "best": _best(study, values),
        "main": tables.published_rows(study, measured, main=True),
        "others": tables.published_rows(study, measured, main=False),
        "differences": tables.difference_lines(study, measured),
        "starts": _starts(study, cells),
        "diagonal": diagonal_rows(study, errors),
        "diagonal_groups": diagonal_groups(study, errors),
        "cost": tables.cost_rows(study, cells),
        "majority": tables.summary_text(Summary.of(majority), "accuracy"),
        "notes": [f"{model['label']}: {model['published']['note']}" for model in study["models"].values()
                  if model["published"]["note"]],
    }  # fmt: skip


def _starts(study: dict, cells: pd.DataFrame) -> str:
    """Return which initial weights the models had that can start from pre-trained ones; empty without such models."""
    labels: dict[str, list[str]] = {}
    for model in study["pretrained"]:
        for start in cells.loc[cells["model"] == model, "initial_weights"].unique():
            labels.setdefault(start, []).append(study["labels"][model])
    return "; ".join(f"{start} for {' and '.join(of_models)}" for start, of_models in labels.items())


def _best(study: dict, values: pd.DataFrame) -> str:
    """Return the model with the highest mean test accuracy: a description, nothing is chosen by it."""
    rows = values.query("split == 'test' and metric == 'accuracy' and model != 'constant'")
    means = rows.groupby("model")["value"].mean()
    if means.empty:
        return "none, every training diverged"
    best = means.idxmax()
    summary = Summary.of(rows.loc[rows["model"] == best, "value"])
    return f"{study['labels'][best]}, {tables.summary_text(summary, 'accuracy')}"


def _finding(study: dict, measured: Measured) -> str:
    """Return how many published test results ours reproduce, as a sentence."""
    words = [
        measured.judge(name, published).word
        for name, model in study["models"].items()
        for published in model["published"]["values"]
        if tables.is_main(published)
    ]
    if words.count("not comparable") == len(words):
        return f"no verdict on the {len(words)} published test results at this scale"
    counts = {word: words.count(word) for word in ("higher", "lower", "not comparable")}
    others = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{words.count('reproduced')} of {len(words)} published test results are reproduced" + (
        f", ours: {others}" if others else ""
    )


def _why(log: Path) -> str:
    """Return the last lines of a training job's log, as much as one sees of why it did not end."""
    if not log.exists():
        return "not started: there is no log"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]) or "the log is empty"


def _inline(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000).strip()


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110).rstrip()

"""Write report.md from the Parquet tables and the configuration; the same inputs give the same bytes."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from twinbench.data.dataset import datasets
from twinbench.evaluation.verdicts import Measured
from twinbench.provenance import PACKAGES
from twinbench.report import tables
from twinbench.report.sweeps import sweep_part
from twinbench.spec.fields import CONSTANT
from twinbench.spec.study import Study


def build_report(
    config: dict[str, Any], studies: list[Study], captions: dict[str, str], missing: list[dict[str, str]], *,
    metrics: pd.DataFrame, cells: pd.DataFrame, errors: pd.DataFrame | None, template: Path, output: Path,
) -> None:  # fmt: skip
    """Render the Markdown report.

    Args:
        config: config.yaml as it was run.
        studies: every study, and its sweeps after it.
        captions: caption of every figure by name.
        missing: study, model, fold, rounds and log of each training job that a partial report lacks.
        metrics, cells: all studies' tables.
        errors: likewise, of studies whose task is ``pairs``; None without any.
        template: Jinja template.
        output: ``report.md``; figures are linked relative to its folder, as ``figures/<study>/<figure>.png``.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    to_yaml = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True)
    environment.filters |= {
        "yaml": partial(to_yaml, default_flow_style=None, width=110),
        "inline": partial(to_yaml, default_flow_style=True, width=10_000),
    }
    parts: dict[str, dict[str, Any]] = {}
    for study in studies:
        measured = Measured(study, *(table[table["study"] == study.name] for table in (metrics, cells)))
        if study.swept:
            parts[study.swept.parent]["sweeps"].append(sweep_part(study, measured.metrics, measured.cells))
        else:
            parts[study.name] = _study(measured, errors) | {"sweeps": []}
    trainings = cells[cells["study"].isin(list(parts))]
    failed = trainings[trainings["status"] != "ok"]
    content = environment.from_string(template.read_text(encoding="utf-8")).render(
        config=config,
        dataset=datasets()[config["data"]["dataset"]],
        studies=list(parts.values()),
        captions=captions,
        missing=[cell | {"why": _why(Path(cell["log"]))} for cell in missing],
        replicas=len(trainings),
        failures=failed[["study", "model", "fold", "round", "reason"]].astype(str).to_numpy().tolist(),
        environment_rows=tables.environment_rows(trainings),
        table=tables.markdown_table,
        packages=list(PACKAGES),
        seconds=f"{trainings['train_seconds'].sum() + trainings['evaluate_seconds'].sum():,.0f}",
    )
    output.write_text(content, encoding="utf-8")


def _study(measured: Measured, errors: pd.DataFrame | None) -> dict[str, Any]:
    """Return a study with its tables and the sentences that need numbers."""
    study, cells = measured.study, measured.cells
    has_diagonal = "digit_pairs" in study.figures
    errors = errors[errors["study"] == study.name] if has_diagonal else None
    return {
        "study": study,
        "examples": "pairs" if study.task == "pairs" else "points",
        "finding": _finding(measured),
        "fewer": {model.label: model.rounds for model in study.models.values()
                  if model.rounds and model.rounds < study.protocol.rounds},
        "validation": tables.fold_rows(measured) if study.protocol.folds else [],
        "best": _best(measured),
        "main": tables.published_rows(measured, main=True),
        "others": tables.published_rows(measured, main=False),
        "differences": tables.difference_lines(measured),
        "starts": _starts(study, cells),
        "diagonal": tables.diagonal_rows(study, errors) if has_diagonal else [],
        "diagonal_groups": tables.diagonal_groups(study, errors) if has_diagonal else [],
        "cost": tables.cost_rows(study, cells),
        "majority": tables.summary_text(measured.summary(CONSTANT, "accuracy", "test"), "accuracy"),
        "notes": [f"{model.label}: {model.published.note}" for model in study.models.values() if model.published.note],
        "content": study.model_dump(include={"protocol", "models"}),
    }  # fmt: skip


def _starts(study: Study, cells: pd.DataFrame) -> str:
    """Return the initial weights of models that can start from pre-trained ones; empty without such models."""
    models = [model for model in study.models if study.architecture(model).pretrained]
    starts = cells[cells["model"].isin(models)].groupby("initial_weights", sort=False)["model"].unique()
    labels = starts.map(lambda names: " and ".join(study.labels[name] for name in names))
    return "; ".join(f"{start} for {of_models}" for start, of_models in labels.items())


def _best(measured: Measured) -> str:
    """Return the model with the highest mean test accuracy. This only describes; it chooses nothing."""
    models = measured.study.models
    found = {model: summary for model in models if (summary := measured.summary(model, "accuracy", "test")).n}
    if not found:
        return "none, every training diverged"
    best = max(found, key=lambda model: found[model].mean)
    return f"{models[best].label}, {tables.summary_text(found[best], 'accuracy')}"


def _finding(measured: Measured) -> str:
    """Return how many published test results ours reproduce, as a sentence."""
    counts = Counter(
        measured.judge(name, published).word
        for name, model in measured.study.models.items()
        for published in model.published.values
        if published.is_main
    )
    if not counts:
        return "no published test results"
    if counts["not comparable"] == counts.total():
        return f"no verdict on the {counts.total()} published test results at this scale"
    others = ", ".join(f"{counts[word]} {word}" for word in ("higher", "lower", "not comparable") if counts[word])
    text = f"{counts['reproduced']} of {counts.total()} published test results are reproduced"
    return f"{text}, ours: {others}" if others else text


def _why(log: Path) -> str:
    """Return the last lines of a training job's log, which may show why it did not end."""
    if not log.exists():
        return "not started: there is no log"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]) or "the log is empty"

"""Write report.md from the Parquet tables and the configuration; the same inputs give the same bytes."""

from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from twinbench.data.dataset import datasets
from twinbench.evaluation.verdicts import Measured
from twinbench.provenance import PACKAGES
from twinbench.report import reproduction, tables
from twinbench.report.sweeps import sweep_part
from twinbench.spec.fields import CONSTANT
from twinbench.spec.study import Study


def build_report(
    config: dict[str, Any], studies: list[Study], captions: dict[str, str], missing: list[dict[str, str]], *,
    metrics: pd.DataFrame, cells: pd.DataFrame, errors: pd.DataFrame | None, reproduced: pd.DataFrame, template: Path,
    output: Path,
) -> None:  # fmt: skip
    """Render the Markdown report.

    Args:
        config: config.yaml as it was run.
        studies: every study, and its sweeps after it.
        captions: caption of every figure by name.
        missing: study, model, rounds and log of each training job that a partial report lacks.
        metrics, cells: all studies' tables.
        errors: likewise, of studies whose task is ``pairs``; None without any.
        reproduced: the published values beside ours (`evaluation.reproduction`), of all studies.
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
        "capitalized": lambda text: text[:1].upper() + text[1:],
    }
    parts: dict[str, dict[str, Any]] = {}
    for study in studies:
        measured = Measured.of(study, metrics, cells)
        if study.swept:
            parts[study.swept.parent]["sweeps"].append(sweep_part(study, measured.metrics, measured.cells))
        else:
            values = reproduction.reproduction_part(study, reproduced[reproduced["study"] == study.name])
            parts[study.name] = _study(measured, errors) | values | {"sweeps": []}
    trainings = cells[cells["study"].isin(list(parts))]
    failed = trainings[trainings["status"] != "ok"]
    content = environment.from_string(template.read_text(encoding="utf-8")).render(
        config=config,
        with_sweeps=any(study.swept for study in studies),
        dataset=datasets()[config["data"]["dataset"]],
        studies=list(parts.values()),
        counts=reproduction.count_rows(reproduced, list(parts)),
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
        "fewer": {model.label: model.rounds for model in study.models.values()
                  if model.rounds and model.rounds < study.protocol.rounds},
        "last_fold": _last_fold(study),
        "validation": tables.fold_rows(measured) if study.protocol.folds else [],
        "leaks": tables.leak_lines(measured),
        "best": _best(measured),
        "models": tables.model_rows(measured),
        "starts": _starts(study, cells),
        "diagonal": tables.diagonal_rows(study, errors) if has_diagonal else [],
        "diagonal_groups": tables.diagonal_groups(study, errors) if has_diagonal else [],
        "cost": tables.cost_rows(study, cells),
        "majority": tables.summary_text(measured.summary(CONSTANT, "accuracy", "test"), "accuracy"),
        "notes": [f"{model.label}: {model.published.note}" for model in study.models.values() if model.published.note],
        "content": study.model_dump(include={"protocol", "models"}),
    }  # fmt: skip


def _last_fold(study: Study) -> str:
    """Return the models whose last fold is reported, in words; those as run in one, if all are."""
    labels = {name: model.label for name, model in study.models.items() if model.reported_fold == "last"}
    runs = [name for name, model in study.models.items() if model.as_run_of]
    if runs and labels.keys() >= set(runs):
        labels = {name: label for name, label in labels.items() if name not in runs} | {"runs": "all models as run"}
    return "; ".join(labels.values())


def _starts(study: Study, cells: pd.DataFrame) -> str:
    """Return the initial weights of models that can start from pre-trained ones; empty without such models.

    A model as run starts as the one that is described does.
    """
    described = [name for name, model in study.models.items() if not model.as_run_of]
    models = [name for name in described if study.architecture(name).pretrained]
    starts = cells[cells["model"].isin(models)].groupby("initial_weights", sort=False)["model"].unique()
    labels = starts.map(lambda names: " and ".join(study.labels[name] for name in names))
    return "; ".join(f"{start} for {of_models}" for start, of_models in labels.items())


def _best(measured: Measured) -> str:
    """Return the model with the highest mean test accuracy. This only describes; it chooses nothing.

    A model whose training test pairs had a part in is left out.
    """
    models = {name: model for name, model in measured.study.models.items() if not model.sees_test}
    found = {model: summary for model in models if (summary := measured.summary(model, "accuracy", "test")).n}
    if not found:
        return "none, every training diverged"
    best = max(found, key=lambda model: found[model].mean)
    return f"{models[best].label}, {tables.summary_text(found[best], 'accuracy')}"


def _why(log: Path) -> str:
    """Return the last lines of a training job's log, which may show why it did not end."""
    if not log.exists():
        return "not started: there is no log"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]) or "the log is empty"

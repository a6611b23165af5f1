"""The rows of the report's tables, as text; the template only lays them out."""

import pandas as pd

from twinbench.evaluation.errors import along_diagonal
from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import FEWEST, Measured
from twinbench.metric import METRICS
from twinbench.provenance import PACKAGES
from twinbench.spec.model import Published
from twinbench.spec.study import Study

NOT_RECORDED = "not recorded"  # for what a run record of an older version lacks


def model_rows(measured: Measured) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of all models: label, parameters, and their results on the test pairs.

    The results are the metrics that the study's reports publish of test pairs; accuracy, if there are none.
    """
    study = measured.study
    values = [value for model in study.models.values() for value in model.published.values]
    metrics = list(dict.fromkeys(value.metric for value in values if value.is_main)) or ["accuracy"]
    header = ["Model", "Parameters", *(f"Test {METRICS[metric].words}: mean ± std over rounds" for metric in metrics)]
    rows = [
        [_marked(study, name), parameters(measured.cells, name, model.published),
         *(summary_text(measured.summary(name, metric, "test"), metric) for metric in metrics)]
        for name, model in study.models.items()
    ]  # fmt: skip
    return header, rows


def _marked(study: Study, name: str) -> str:
    """Return a model's label, and what a reader must know to compare it."""
    model, marks = study.models[name], []
    if model.sees_test:
        marks.append("test pairs passed through batch norm")
    if model.tries in study.models:
        marks.append(f"tries to explain {study.labels[model.tries]}")
    return f"{model.label} ({'; '.join(marks)})" if marks else model.label


def summary_text(summary: Summary, metric: str) -> str:
    """Return ``mean ± std (n = 8)``, or that there is no result."""
    if not summary.n:
        return "no result"
    return f"{METRICS[metric].text(summary.mean, summary.std if summary.n > 1 else None)} (n = {summary.n})"


def parameters(cells: pd.DataFrame, model: str, published: Published) -> str:
    """Return our parameter count, and the published one where it differs."""
    counts = cells.loc[cells["model"] == model, "parameters"]
    own = f"{counts.iloc[0]:,}" if len(counts) else "?"
    if published.parameters is None:
        return f"{own} (not published)"
    same = len(counts) and counts.iloc[0] == published.parameters
    see = ", see below" if published.note else ""
    return f"{own} (as published{see})" if same else f"{own} (published: {published.parameters:,})"


def cost_rows(study: Study, cells: pd.DataFrame) -> list[list[str]]:
    """Return label, parameters, FLOPs per example, epochs, and seconds per replica of every model of a study."""
    rows = []
    for name, of_model in cells.groupby("model", sort=False):
        flops, evaluate_seconds = of_model["flops"].max(), of_model["evaluate_seconds"].mean()
        rows.append([
            study.labels[name],
            f"{of_model['parameters'].iloc[0]:,}",
            NOT_RECORDED if pd.isna(flops) else f"{flops / 1e6:.2f} M" if flops >= 1e5 else f"{flops:,.0f}",
            f"{of_model['epochs'].mean():.0f}",
            summary_text(Summary.of(of_model["train_seconds"]), "seconds"),
            NOT_RECORDED if pd.isna(evaluate_seconds) else METRICS["seconds"].text(evaluate_seconds),
            ", ".join(sorted(of_model["device"].fillna(NOT_RECORDED).unique())),
        ])  # fmt: skip
    return rows


def fold_rows(measured: Measured) -> list[list[str]]:
    """Return label, validation accuracy over all folds of all rounds, and the mean of each fold, of every model."""
    accuracy, rows = METRICS["accuracy"], []
    for name, label in measured.study.labels.items():
        values = measured.rounds(name, "accuracy", "validation")
        if len(values):
            means = values.groupby("fold")["value"].mean()
            of_folds = [accuracy.text(means[fold]) if fold in means else "" for fold in measured.study.folds]
            rows.append([label, summary_text(Summary.of(values["value"]), "accuracy"), *of_folds])
    return rows


def leak_lines(measured: Measured) -> list[str]:
    """Return lines on what a leak between chained folds does: a model as run against a trial of it with other resets.

    The validation accuracies of the two are compared round by round.
    """
    chained = {name: model for name, model in measured.study.models.items() if model.training.chain}
    pairs = [
        (run, trial)
        for run, of_run in chained.items()
        for trial, of_trial in chained.items()
        if of_run.as_run_of and of_run.as_run_of == of_trial.tries
    ]
    return [_leak_line(measured, *pair) for pair in pairs]


def _leak_line(measured: Measured, run: str, trial: str) -> str:
    means = (measured.rounds(name, "accuracy", "validation").groupby("round")["value"].mean() for name in (run, trial))
    difference = Summary.of(next(means) - next(means))
    low, high = difference.confidence_interval()
    points, labels = METRICS["accuracy"].difference, measured.study.labels
    compared = f"Validation accuracy of {labels[run]} minus that of {labels[trial]}, mean over the folds"
    if difference.n < FEWEST:
        return f"{compared}: too few rounds for a finding (n = {difference.n})."
    finding = "the leak has an effect" if low > 0 or high < 0 else "no effect of the leak is seen"
    interval = f"95 % interval {points(low)} to {points(high)}, n = {difference.n} rounds"
    return f"{compared}: {points(difference.mean)} ({interval}): {finding}."


def diagonal_rows(study: Study, errors: pd.DataFrame) -> list[list[str]]:
    """Return label, losses, share of errors and share of test pairs on or next to the diagonal, of every model."""
    return [
        [study.labels[name], " and ".join(study.models[name].objective.trained),
         f"{_share(counts, 'errors')} (n = {counts['errors']:,})", _share(counts, "pairs")]
        for name, counts in along_diagonal(errors).iterrows()
    ]  # fmt: skip


def diagonal_groups(study: Study, errors: pd.DataFrame) -> list[dict]:
    """Return the same for two groups: models trained on the target alone, and all others; a group needs errors.

    Each group has what a sentence needs: trained_on, errors, of_errors and of_pairs (the shares there), models, and
    above: how many models have a larger share of their errors than of their pairs there.
    """
    counts = along_diagonal(errors)
    counts = counts[counts["errors"] > 0]
    alone = pd.Series({name: study.models[name].objective.trained == ["target"] for name in counts.index}, dtype=bool)
    groups = []
    for name, of_group in (("the target alone", counts[alone]), ("digits, with or without the target", counts[~alone])):
        if len(of_group):
            total = of_group.sum()
            above = of_group["errors_there"] / of_group["errors"] > of_group["pairs_there"] / of_group["pairs"]
            groups.append({
                "trained_on": name, "errors": f"{total['errors']:,}", "of_errors": _share(total, "errors"),
                "of_pairs": _share(total, "pairs"), "models": len(of_group), "above": int(above.sum()),
            })  # fmt: skip
    return groups


def _share(counts: pd.Series, name: str) -> str:
    return METRICS["error"].text(counts[f"{name}_there"] / counts[name]) if counts[name] else "–"


def environment_rows(cells: pd.DataFrame) -> list[list[str]]:
    """Return what the trainings ran on: every different set of hardware and versions, with its number of replicas.

    Recording one more package retrains nothing, so an older record may lack a package of the table.
    """
    keys = ["processor", "device", "threads", "system", "python", *PACKAGES]
    known = cells.reindex(columns=keys).astype(object).fillna(NOT_RECORDED)
    counts = known.groupby(keys).size().reset_index(name="replicas")
    return counts.astype(str).to_numpy().tolist()


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in GitHub's Markdown; bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

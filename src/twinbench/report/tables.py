"""The rows of the report's tables, as text; the template only lays them out."""

import pandas as pd

from twinbench.evaluation.errors import along_diagonal
from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import Measured
from twinbench.metric import METRICS
from twinbench.provenance import PACKAGES
from twinbench.spec.model import Published, PublishedValue
from twinbench.spec.study import Study

NOT_RECORDED = "not recorded"  # for what a run record of an older version lacks


def published_rows(measured: Measured, main: bool) -> list[list[str]]:
    """Return the rows of the published-against-ours table of one study.

    Args:
        measured: the study and its results.
        main: True for accuracies and errors on the test pairs, with parameters, where a model without published
            values has a row for every metric that other models have; False for all other published values.
    """
    models = measured.study.models
    of_others = [value for model in models.values() for value in model.published.values if value.is_main]
    unpublished = dict.fromkeys(value.metric for value in of_others) or ["accuracy"]
    rows = []
    for name, model in models.items():
        values = [published for published in model.published.values if published.is_main == main]
        count = [parameters(measured.cells, name, model.published)] if main else []
        for published in values:
            rows.append([model.label, *count, quantity(published), *comparison(measured, name, published)])
        for metric in unpublished if main and not values else []:
            ours = summary_text(measured.summary(name, metric, "test"), metric)
            rows.append([model.label, *count, f"test {METRICS[metric].words}", ours, "not published", "", "–"])
    return rows


def quantity(published: PublishedValue) -> str:
    """Return the quantity of a published value, in words."""
    if published.metric == "seconds":
        return "training, seconds per round"
    return f"{published.split} {METRICS[published.metric].words}"


def comparison(measured: Measured, model: str, published: PublishedValue) -> list[str]:
    """Return ours, published, ours − published, and the verdict."""
    metric = METRICS[published.metric]
    ours, verdict = measured.summary(model, metric.name, published.split), measured.judge(model, published)
    rounds = f" (n = {published.n})" if published.n > 1 else ""
    theirs = metric.text(published.value, published.std) + rounds
    reason = f" ({verdict.reason})" if verdict.reason else ""
    compared = [metric.difference(ours.mean - published.value), verdict.word + reason] if ours.n else ["", "–"]
    return [summary_text(ours, metric.name), theirs, *compared]


def difference_lines(measured: Measured) -> list[str]:
    """Return a sentence for each published value outside our interval, with the evidence that explains it."""
    lines = []
    for name, model in measured.study.models.items():
        for published in model.published.values:
            verdict = measured.judge(name, published)
            if verdict.word in ("higher", "lower"):
                low, high = (METRICS[published.metric].text(end) for end in verdict.interval)
                evidence = published.evidence or "no reason was found"
                lines.append(f"{model.label}, {quantity(published)}: ours is {verdict.word}, expected between {low} "
                             f"and {high}; {evidence}")  # fmt: skip
    return lines


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
    """Return label and validation accuracy, mean ± std over all folds of all rounds, of every model of a study."""
    labels = measured.study.labels
    summaries = {label: measured.summary(name, "accuracy", "validation") for name, label in labels.items()}
    return [[label, summary_text(summary, "accuracy")] for label, summary in summaries.items() if summary.n]


def diagonal_rows(study: Study, errors: pd.DataFrame) -> list[list[str]]:
    """Return label, losses, share of errors and share of test pairs on or next to the diagonal, of every model."""
    return [
        [study.labels[name], " and ".join(study.models[name].objective.trained),
         f"{_share(counts, 'errors')} (n = {counts['errors']:,})", _share(counts, "pairs")]
        for name, counts in along_diagonal(errors).iterrows()
    ]  # fmt: skip


def diagonal_groups(study: Study, errors: pd.DataFrame) -> list[dict]:
    """Return the same for models trained on the target alone and for all others, without a group that made no errors.

    Each group is ready for a sentence: trained_on, errors, of_errors and of_pairs (shares there), models, and above:
    those with a larger share of errors than of pairs there.
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

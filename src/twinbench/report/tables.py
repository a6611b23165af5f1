"""The rows of the report's tables, as text; the template only lays them out."""

import math
from collections.abc import Iterable

import pandas as pd

from twinbench.config.fields import RATES
from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import Measured
from twinbench.provenance import PACKAGES


def published_rows(study: dict, measured: Measured, main: bool) -> list[list[str]]:
    """Return the rows of the published-against-ours table of one study.

    Args:
        study: the study's part of `Plan.report`.
        measured: its results.
        main: True for accuracies and errors on the test pairs, with parameters, where a model without published ones
            has a row too for every quantity that the study's other models have; False for all else.
    """
    rows = []
    of_others = [
        value for model in study["models"].values() for value in model["published"]["values"] if is_main(value)
    ]
    unpublished = dict.fromkeys(value["metric"] for value in of_others) or ["accuracy"]
    for name, model in study["models"].items():
        values = [published for published in model["published"]["values"] if is_main(published) == main]
        count = [parameters(measured.cells, name, model["published"])] if main else []
        for published in values:
            rows.append([model["label"], *count, quantity(published), *comparison(measured, name, published)])
        for metric in unpublished if main and not values else []:
            ours = Summary.of(measured.values(name, metric, "test"))
            text = summary_text(ours, metric) if ours.n else "no result"
            name_of = quantity({"metric": metric, "split": "test"})
            rows.append([model["label"], *count, name_of, text, "not published", "", "–"])
    return rows


def is_main(published: dict) -> bool:
    """Return whether a published value is an accuracy or error on the test pairs."""
    return published["split"] == "test" and published["metric"] in RATES


def quantity(published: dict) -> str:
    """Return in words what a published value is of."""
    if published["metric"] == "seconds":
        return "training, s a round"
    return f"{published['split']} {published['metric'].replace('_', ' ')}"


def comparison(measured: Measured, model: str, published: dict) -> list[str]:
    """Return ours, published, ours − published, and the verdict."""
    metric = published["metric"]
    ours, verdict = Summary.of(measured.values(model, metric, published["split"])), measured.judge(model, published)
    rounds = f" (n = {published['n']})" if published["n"] > 1 else ""
    theirs = value_text(published["value"], metric, published["std"]) + rounds
    if not ours.n:
        return ["no result", theirs, "", "–"]
    difference = ours.mean - published["value"]
    text = f"{100 * difference:+.1f} points" if metric in RATES else f"{difference:+.2g}"
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return [summary_text(ours, metric), theirs, text.replace("-", "−"), verdict.word + reason]


def difference_lines(study: dict, measured: Measured) -> list[str]:
    """Return a sentence for each published value outside our interval, with what was seen to explain it."""
    lines = []
    for name, model in study["models"].items():
        for published in model["published"]["values"]:
            verdict = measured.judge(name, published)
            if verdict.word in ("higher", "lower"):
                low, high = (value_text(end, published["metric"]) for end in verdict.interval)
                evidence = published["evidence"] or "no reason was found"
                lines.append(f"{model['label']}, {quantity(published)}: ours is {verdict.word}, expected between {low} "
                             f"and {high}; {evidence}")  # fmt: skip
    return lines


def summary_text(summary: Summary, metric: str) -> str:
    """Return ``mean ± std (n = 8)``."""
    return f"{value_text(summary.mean, metric, summary.std if summary.n > 1 else None)} (n = {summary.n})"


def value_text(value: float, metric: str, std: float | None = None) -> str:
    """Return a value and its deviation, to the deviation's first digit; fractions in per cent with one decimal."""
    if metric in RATES:
        return f"{100 * value:.1f}" + (f" ± {100 * std:.1f} %" if std is not None else " %")
    size = std or abs(value) / 10  # without a deviation: two significant digits
    decimals = max(0, -math.floor(math.log10(size))) if size else 0
    return f"{value:.{decimals}f}" + (f" ± {std:.{decimals}f}" if std else "")


def parameters(cells: pd.DataFrame, model: str, published: dict) -> str:
    """Return our parameter count, and the published one where it differs."""
    counts = cells.loc[cells["model"] == model, "parameters"]
    own = f"{counts.iloc[0]:,}" if len(counts) else "?"
    if published["parameters"] is None:
        return f"{own} (not published)"
    same = len(counts) and counts.iloc[0] == published["parameters"]
    see = ", see below" if published["note"] else ""
    return f"{own} (as published{see})" if same else f"{own} (published: {published['parameters']:,})"


def cost_rows(study: dict, cells: pd.DataFrame) -> list[list[str]]:
    """Return label, parameters, FLOPs a pair, epochs, and seconds a replica of every model of a study."""
    rows = []
    for name, model in study["models"].items():
        of_model = cells[cells["model"] == name]
        if of_model.empty:
            continue
        training = summary_text(Summary.of(of_model["train_seconds"]), "seconds")
        evaluation = value_text(of_model["evaluate_seconds"].mean(), "seconds")
        first = of_model.iloc[0]
        epochs = f"{of_model['epochs'].mean():.0f}"
        device = ", ".join(sorted(of_model["device"].unique()))
        rows.append(
            [
                model["label"],
                f"{first['parameters']:,}",
                f"{first['flops'] / 1e6:.2f} M",
                epochs,
                training,
                evaluation,
                device,
            ]
        )
    return rows


def fold_rows(study: dict, metrics: pd.DataFrame) -> list[list[str]]:
    """Return label and validation accuracy, mean ± std over all folds of all rounds, of every model of a study."""
    rows = metrics[(metrics["split"] == "validation") & (metrics["metric"] == "accuracy")]
    of_models = ((label, rows.loc[rows["model"] == name, "value"]) for name, label in study["labels"].items())
    return [[label, summary_text(Summary.of(values), "accuracy")] for label, values in of_models if len(values)]


def failure_rows(cells: pd.DataFrame) -> list[list[str]]:
    """Return study, model, fold, round and reason of every training that did not end well."""
    failed = cells[cells["status"] != "ok"]
    return failed[["study", "model", "fold", "round", "reason"]].astype(str).to_numpy().tolist()


def environment_rows(cells: pd.DataFrame) -> list[list[str]]:
    """Return what the trainings ran on: every different set of hardware and versions, with its number of replicas.

    Noting one more package retrains nothing, so a record may be older than a package in the table.
    """
    keys = ["processor", "device", "threads", "system", "python", *PACKAGES]
    known = cells.reindex(columns=keys).astype(object).fillna("not recorded")
    counts = known.groupby(keys).size().reset_index(name="replicas")
    return counts.astype(str).to_numpy().tolist()


def markdown_table(header: Iterable[str], rows: list[list[str]]) -> str:
    """Return a table in GitHub's Markdown; bars in cells are escaped."""
    lines = [list(header), ["---"] * len(list(header)), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

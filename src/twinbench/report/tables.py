"""The rows of the report's tables, as text; the template only lays them out."""

import math
from collections.abc import Iterable

import pandas as pd

from twinbench.evaluation.statistics import Summary
from twinbench.provenance import PACKAGES

# How a published metric is named in metrics.parquet, and how it follows from it.
METRICS = {"accuracy": "accuracy", "error": "accuracy", "loss": "loss", "target_loss": "target_loss"}
PERCENT = ("accuracy", "error")
# With fewer, Student's quantile makes any published value fit.
FEWEST_ROUNDS = 5


def ours(reported: pd.DataFrame, cells: pd.DataFrame, model: str, metric: str, split: str) -> Summary:
    """Summarise over the rounds what we measured for one published quantity.

    Args:
        reported: one study's values after fold selection (`statistics.reported`).
        cells: the study's cells, for the seconds of training a round.
        model, metric, split: the quantity; an error is 1 − accuracy.
    """
    if metric == "seconds":
        of_model = cells[(cells["model"] == model) & (cells["status"] == "ok")]
        return Summary.of(of_model.groupby("round")["train_seconds"].sum())
    rows = reported[
        (reported["model"] == model) & (reported["split"] == split) & (reported["metric"] == METRICS[metric])
    ]
    return Summary.of(1 - rows["value"] if metric == "error" else rows["value"])


def published_rows(study: dict, reported: pd.DataFrame, cells: pd.DataFrame, main: bool) -> list[list[str]]:
    """Return the rows of the published-against-ours table of one study.

    Args:
        study: the study's part of `Plan.report`.
        reported, cells: as for `ours`.
        main: True for accuracies and errors on the test pairs, with parameters; False for all else.
    """
    rows = []
    for name, model in study["models"].items():
        for published in model["published"]["values"]:
            is_main = published["split"] == "test" and published["metric"] in PERCENT
            if is_main != main:
                continue
            summary = ours(reported, cells, name, published["metric"], published["split"])
            seconds = published["metric"] == "seconds"
            quantity = (
                "training, s a round" if seconds else f"{published['split']} {published['metric'].replace('_', ' ')}"
            )
            row = [model["label"], quantity, *comparison(summary, published)]
            rows.append([row[0], parameters(cells, name, model["published"]), *row[1:]] if main else row)
    return rows


def comparison(summary: Summary, published: dict) -> list[str]:
    """Return ours, published, ours − published, and whether as many more rounds of ours could average as published."""
    metric = published["metric"]
    rounds = f" (n = {published['n']})" if published["n"] > 1 else ""
    theirs = value_text(published["value"], metric, published["std"]) + rounds
    if not summary.n:
        return ["no result", theirs, "", ""]
    difference = summary.mean - published["value"]
    text = f"{100 * difference:+.1f} points" if metric in PERCENT else f"{difference:+.2g}"
    return [summary_text(summary, metric), theirs, text.replace("-", "−"), verdict(summary, published)]


def verdict(summary: Summary, published: dict) -> str:
    """Return yes or no for "inside the 95 % prediction interval"; – for seconds, and for too few rounds to tell."""
    if summary.n < FEWEST_ROUNDS or published["metric"] == "seconds":
        return "–"
    low, high = summary.prediction_interval(of=published["n"])
    return "yes" if low <= published["value"] <= high else "no"


def summary_text(summary: Summary, metric: str) -> str:
    """Return ``mean ± std (n = 8)``."""
    return f"{value_text(summary.mean, metric, summary.std if summary.n > 1 else None)} (n = {summary.n})"


def value_text(value: float, metric: str, std: float | None = None) -> str:
    """Return a value and its deviation, to the deviation's first digit; fractions in per cent with one decimal."""
    if metric in PERCENT:
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
    """Return what the trainings ran on: every different set of hardware and versions, with its number of replicas."""
    keys = ["processor", "device", "threads", "system", "python", *PACKAGES]
    counts = cells.groupby(keys).size().reset_index(name="replicas")
    return counts.astype(str).to_numpy().tolist()


def markdown_table(header: Iterable[str], rows: list[list[str]]) -> str:
    """Return a table in GitHub's Markdown; bars in cells are escaped."""
    lines = [list(header), ["---"] * len(list(header)), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

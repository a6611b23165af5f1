"""The from-scratch study's section of report.md."""

from pathlib import Path

import jinja2
import pandas as pd

from twinbench.evaluation.statistics import Summary
from twinbench.evaluation.verdicts import Measured, is_smaller
from twinbench.provenance import PACKAGES
from twinbench.report import tables

ERROR = {"metric": "error", "split": "test"}


def scratch_part(plan: dict, metrics: pd.DataFrame, cells: pd.DataFrame, template: Path) -> dict:
    """Return what `build.build_report` takes in: the ``plan``, a ``headline`` and the ``section``, both Markdown.

    Args:
        plan: `scratch.planning.ScratchPlan.report`.
        metrics, cells: the study's tables.
        template: Jinja template.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    named = {name: net for name, net in plan["nets"].items() if not name.startswith("width-")}
    nets = plan["nets"]
    protocol = {"pairs": plan["protocol"]["points"], "folds": None, "fixed_data": False}
    measured = Measured(metrics.assign(study="scratch", fold="all"), cells, protocol, is_smaller(plan["reduced"]))
    section = environment.from_string(template.read_text(encoding="utf-8")).render(
        study=plan,
        main=nets[plan["main"]]["label"],
        comparison=[row for name, net in named.items() for row in _comparison(name, net, measured)],
        notes=[f"{net['label']}: {net['published']['note']}." for net in nets.values() if net["published"]["note"]],
        widths=_width_rows(plan, measured),
        failures=[[nets[model]["label"], *rest] for _, model, _, *rest in tables.failure_rows(cells)],
        cost=_cost_rows(nets, cells),
        environment_rows=tables.environment_rows(cells),
        majority=tables.summary_text(_summary(measured, "constant", ERROR), "error"),
        packages=list(PACKAGES),
        table=tables.markdown_table,
    )
    return {"plan": plan, "headline": _headline(plan, measured), "section": section}


def _headline(plan: dict, measured: Measured) -> str:
    """Return the study in one line: the main net's error beside the published one."""
    net = plan["nets"][plan["main"]]
    published = [value for value in net["published"]["values"] if ERROR.items() <= value.items()]
    theirs = f", published {tables.value_text(published[0]['value'], 'error')}" if published else ""
    ours = _summary(measured, plan["main"], ERROR)
    return f"{net['label']} in a framework without autograd, on a disc: test error {_text(ours, 'error')}{theirs}"


def _comparison(name: str, net: dict, measured: Measured) -> list[list[str]]:
    """Return a row a published number of a net, or one with its test error if nothing was published."""
    count = tables.parameters(measured.cells, name, net["published"])
    rows = []
    for published in net["published"]["values"]:
        rows.append([tables.quantity(published), *tables.comparison(measured, name, published)])
    if not rows:
        rows = [["test error", _text(_summary(measured, name, ERROR), "error"), "not published", "", "–"]]
    return [[net["label"], count, *row] for row in rows]


def _width_rows(plan: dict, measured: Measured) -> list[list[str]]:
    """Return width, parameters, training and test error of every net of the sweep, from narrow to wide."""
    swept = [plan["main"], *(name for name in plan["nets"] if name.startswith("width-"))]
    rows = []
    for name in sorted(swept, key=lambda name: plan["nets"][name]["hidden"][0]):
        errors = [_text(_summary(measured, name, ERROR | {"split": split}), "error") for split in ("train", "test")]
        count = measured.cells.loc[measured.cells["model"] == name, "parameters"].iloc[0]
        rows.append([str(plan["nets"][name]["hidden"][0]), f"{count:,}", *errors])
    return rows


def _cost_rows(nets: dict, cells: pd.DataFrame) -> list[list[str]]:
    """Return the rows of every study's cost table, with FLOPs in full: these nets are small."""
    flops = [f"{cells.loc[cells['model'] == name, 'flops'].iloc[0]:,}" for name in nets if name in set(cells["model"])]
    rows = tables.cost_rows({"models": nets}, cells)
    return [[label, count, own, *rest] for (label, count, _, *rest), own in zip(rows, flops, strict=True)]


def _summary(measured: Measured, net: str, quantity: dict) -> Summary:
    return Summary.of(measured.values(net, quantity["metric"], quantity["split"]))


def _text(summary: Summary, metric: str) -> str:
    return tables.summary_text(summary, metric) if summary.n else "no result"

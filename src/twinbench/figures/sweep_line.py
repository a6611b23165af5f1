"""A sweep of one axis: the metric and the seconds of training per round, mean with a band of one std over the rounds.

Dots are single rounds. The star is the setting with the best mean on the validation pairs. The dotted line is the
setting that the report found best, or kept. A red cross at the top marks a setting with diverged rounds, and gives
their number; its mean is that of its other rounds. An axis is logarithmic if its values are more evenly spaced that
way. Values that are words have error bars instead of a band.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from twinbench.evaluation.sweeps import SweepResults
from twinbench.figures.style import DIVERGED, FLOOR, SPLIT_COLOURS, StudyResults, band, new_figure, percent_axis, save
from twinbench.spec.study import Axis, Swept

TABLES = ("metrics", "cells")
NEEDS = "sweep"
SECONDS = "#117733"


def draw(study: StudyResults, path: Path) -> None:
    """Draw the metric on one panel and the seconds on the other."""
    results = SweepResults(Swept(**study.swept), study.metrics, study.cells)
    figure = new_figure(8, 3.4)
    metric, seconds = figure.subplots(1, 2, width_ratios=(3, 2))
    (axis,) = results.swept.axes
    places = _places(results)
    shown, names = results.swept.split, list(results.found)
    table = results.table.assign(seconds=results.table["train_seconds"].where(results.table["status"] == "ok"))
    by_round = table.pivot(index="setting", columns=["split", "round"], values=["value", "seconds"]).loc[names]
    for split in dict.fromkeys(("train", shown)):
        _draw(metric, by_round["value"][split], axis, places, SPLIT_COLOURS[split], split)
    times = by_round["seconds"][shown]
    _draw(seconds, times, axis, places, SECONDS, "seconds")
    if best := results.best:
        metric.plot(places[best.name], best.values[shown].mean, "*", color="black", markersize=11,
                    label="best on validation pairs", zorder=3)  # fmt: skip
    for number, name in enumerate(results.swept.claimed):
        metric.axvline(places[name], color=FLOOR, linestyle=":", label=None if number else "the report's best")
    _mark_diverged(metric, results, places)
    for panel in (metric, seconds):
        _label(panel, axis, places)
    _scale(metric, by_round["value"][shown])
    _scale(seconds, times)
    if results.metric.share:
        percent_axis(metric.yaxis)
    metric.set_ylabel(results.metric.words)
    seconds.set_ylabel("training, seconds per round")
    save(figure, path, metric, columns=5)


def _places(results: SweepResults) -> dict[str, float]:
    """Return the place of each setting on the axis: its value, or its position if the value is no number."""
    values = {name: value for name, (value,) in results.swept.settings.items()}
    return values if is_number(list(values.values())) else {name: n for n, name in enumerate(values)}


def _draw(panel: Axes, values: pd.DataFrame, axis: Axis, places: dict[str, float], colour: str, label: str) -> None:
    placed = values.set_axis([places[name] for name in values.index]).sort_index().dropna(how="all")
    if is_number(axis.values):
        band(panel, placed, colour, label, "o-")
    else:
        mean, deviation = placed.mean(axis=1), placed.std(axis=1).fillna(0)
        panel.errorbar(placed.index, mean, deviation, fmt="o", color=colour, capsize=4, label=label)
    panel.plot(placed.index, placed, ".", color=colour, alpha=0.35, markersize=3)


def _mark_diverged(panel: Axes, results: SweepResults, places: dict[str, float]) -> None:
    diverged = [setting for setting in results.found.values() if setting.diverged]
    for number, setting in enumerate(diverged):
        place, label = places[setting.name], None if number else "diverged"
        at = {"transform": panel.get_xaxis_transform(), "color": DIVERGED, "clip_on": False}
        panel.plot(place, 1.03, "X", markersize=7, label=label, **at)
        panel.text(place, 1.07, f"{setting.diverged} of {results.rounds}", ha="center", va="bottom", fontsize=7, **at)


def _label(panel: Axes, axis: Axis, places: dict[str, float]) -> None:
    """Put a tick at every value, also at those that have nothing to draw."""
    ticks = list(places.values())
    low, high = min(ticks), max(ticks)
    if is_number(axis.values) and is_even_in_logarithms(axis.values):
        panel.set_xscale("log")
        room = (high / low) ** 0.05
        panel.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) if is_number(axis.values) and high > low else 0.5
        panel.set_xlim(low - room, high + room)
    panel.set_xticks(ticks, axis.texts)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(axis.label)


def _scale(panel: Axes, values: pd.DataFrame) -> None:
    """Make the vertical axis logarithmic if the means span a factor of ten and are spaced more evenly that way."""
    means = values.mean(axis=1).dropna()
    if is_even_in_logarithms(means) and means.max() >= 10 * means.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_minor_locator(NullLocator())
    else:
        panel.set_ylim(0, 1.05 * panel.get_ylim()[1])


def is_even_in_logarithms(values: list[float] | pd.Series) -> bool:
    """Return whether numbers are spaced more evenly on a logarithmic axis than on a linear one; equals count once."""
    distinct = np.unique(np.asarray(values, dtype=float))
    if len(distinct) < 3 or distinct[0] <= 0:
        return False
    steps = np.diff(distinct), np.diff(np.log(distinct))
    linear, logarithmic = (step.std() / step.mean() for step in steps)
    return bool(logarithmic < linear - 1e-9)


def is_number(values: list) -> bool:
    """Return whether the values of an axis are numbers; true and false are not."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

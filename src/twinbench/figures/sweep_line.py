"""A sweep of one axis: the metric and the seconds of training a round, mean with a band of one std over the rounds.

Dots are single rounds. The star is the best mean on the validation pairs, the dotted line the report's best. A red
cross above is a setting of which some rounds diverged, and how many; the others make its mean. An axis is logarithmic
where its values are spaced more evenly that way; words stand apart, with error bars.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from twinbench.figures.style import FLOOR, SPLIT_COLOURS, band, new_figure, save
from twinbench.figures.sweeps import (
    BEST,
    DIVERGED,
    SweepResults,
    is_even_in_logarithms,
    is_number,
    metric_axis,
)

SECONDS = "#117733"


def draw_sweep(results: SweepResults, path: Path) -> None:
    """Draw the metric on one panel and the seconds on the other."""
    figure = new_figure(8, 3.4)
    metric, seconds = figure.subplots(1, 2, width_ratios=(3, 2))
    (axis,) = results.swept["axes"]
    places = _places(results)
    for split in dict.fromkeys(("train", results.swept["split"])):
        _draw(metric, results.values(split), axis, places, SPLIT_COLOURS[split], split)
    rows = results.table.drop_duplicates(["point", "round"]).query("status == 'ok'")
    times = rows.pivot(index="point", columns="round", values="train_seconds").reindex(list(results.found))
    _draw(seconds, times, axis, places, SECONDS, "seconds")
    if best := results.best:
        metric.plot(places[best.point], best.values[results.swept["split"]].mean, "*", color=BEST, markersize=11,
                    label="best on validation pairs", zorder=3)  # fmt: skip
    for number, point in enumerate(results.swept["claimed"]):
        metric.axvline(places[point], color=FLOOR, linestyle=":", label=None if number else "the report's best")
    _mark_diverged(metric, results, places)
    for panel in (metric, seconds):
        _label(panel, axis, places)
    metric_axis(metric.yaxis, results.swept["metric"])
    metric.set_ylabel(results.swept["metric"].replace("_", " "))
    seconds.set_ylabel("training, s a round")
    means = times.mean(axis=1).dropna()
    if is_even_in_logarithms(means) and means.max() >= 10 * means.min():
        seconds.set_yscale("log")
    else:
        seconds.set_ylim(0, 1.05 * seconds.get_ylim()[1])
    figure.legend(*metric.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    save(figure, path)


def _places(results: SweepResults) -> dict[str, float]:
    """Return where each point is on the axis: its value or, where that is no number, its position."""
    values = {point: value for point, (value,) in results.swept["points"].items()}
    return values if is_number(list(values.values())) else {point: n for n, point in enumerate(values)}


def _draw(panel: Axes, values: pd.DataFrame, axis: dict, places: dict[str, float], colour: str, label: str) -> None:
    placed = values.set_axis([places[point] for point in values.index]).sort_index().dropna(how="all")
    if is_number(axis["values"]):
        band(panel, placed, colour, label, "o-")
    else:
        mean, deviation = placed.mean(axis=1), placed.std(axis=1).fillna(0)
        panel.errorbar(placed.index, mean, deviation, fmt="o", color=colour, capsize=4, label=label)
    for round_ in placed:
        panel.plot(placed.index, placed[round_], ".", color=colour, alpha=0.35, markersize=3)


def _mark_diverged(panel: Axes, results: SweepResults, places: dict[str, float]) -> None:
    rounds = results.table["round"].nunique()
    diverged = [setting for setting in results.found.values() if setting.diverged]
    for number, setting in enumerate(diverged):
        place, label = places[setting.point], None if number else "diverged"
        at = {"transform": panel.get_xaxis_transform(), "color": DIVERGED, "clip_on": False}
        panel.plot(place, 1.03, "X", markersize=7, label=label, **at)
        panel.text(place, 1.07, f"{setting.diverged} of {rounds}", ha="center", va="bottom", fontsize=7, **at)


def _label(panel: Axes, axis: dict, places: dict[str, float]) -> None:
    """Put a tick at every value, also at those that have nothing to draw."""
    ticks = list(places.values())
    low, high = min(ticks), max(ticks)
    if is_number(axis["values"]) and is_even_in_logarithms(axis["values"]):
        panel.set_xscale("log")
        room = (high / low) ** 0.05
        panel.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) if is_number(axis["values"]) and high > low else 0.5
        panel.set_xlim(low - room, high + room)
    panel.set_xticks(ticks, axis["texts"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(axis["label"])

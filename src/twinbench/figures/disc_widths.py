"""Width of both hidden layers against the error after the last epoch: mean over rounds, band of one std.

Dots are single rounds. Both axes are logarithmic.
"""

from pathlib import Path

from twinbench.figures.disc_results import DiscResults, error_axis
from twinbench.figures.style import SPLIT_COLOURS, band, new_figure, save


def draw_disc(results: DiscResults, path: Path) -> None:
    """Draw the width sweep, training and test error."""
    metrics = results.metrics[results.metrics["model"].isin(results.widths)]
    metrics = metrics.assign(width=metrics["model"].map(results.widths), error=1 - metrics["value"])
    accuracy = metrics[metrics["metric"] == "accuracy"]
    figure = new_figure(6.5, 3.4)
    axes = figure.subplots()
    for split in ("train", "test"):
        values = accuracy[accuracy["split"] == split].pivot(index="width", columns="round", values="error")
        band(axes, values, SPLIT_COLOURS[split], split, "o-")
        for round_ in values:
            axes.plot(values.index, values[round_], ".", color=SPLIT_COLOURS[split], alpha=0.35, markersize=3)
    axes.set_xscale("log", base=2)
    widths = sorted(results.widths.values())
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    error_axis(axes)
    axes.set_xlabel("width of both hidden layers")
    axes.set_ylabel("error")
    figure.legend(loc="outside lower center", ncols=2)
    save(figure, path)

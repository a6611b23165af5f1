"""ReLU against Tanh: error on test points after each epoch, mean over rounds, band of one std.

The published Tanh net stayed at its dotted line. Raw coordinates are the points in [0, 1]² as they
are; the other nets see them with mean 0 and standard deviation 1.
"""

from pathlib import Path

from twinbench.figures.disc_results import DiscResults
from twinbench.figures.style import OURS, PUBLISHED, band, new_figure, percent_axis, save

COLOURS = [OURS, PUBLISHED, "#009E73", "#CC79A7"]


def draw_disc(results: DiscResults, path: Path) -> None:
    """Draw the test error of the nets that the study file names, and their published values."""
    figure = new_figure(7.5, 3.4)
    axes = figure.subplots()
    for number, net in enumerate(results.named):
        colour = COLOURS[number % len(COLOURS)]
        band(axes, results.values(net, "test", "error"), colour, results.labels[net])
        if net in results.published:
            axes.axhline(results.published[net], color=colour, linestyle=":", label=f"published: {results.labels[net]}")
    axes.set_ylim(bottom=0)
    percent_axis(axes.yaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test error")
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, path)

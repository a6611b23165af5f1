"""MSE and error of the ReLU net after each epoch, on training and test points: mean over rounds, band of one std.

Training points are evaluated after the epoch, like test points. The error's axis is logarithmic; its dotted line is the
published test error.
"""

from pathlib import Path

from twinbench.figures.disc_results import DiscResults, error_axis
from twinbench.figures.style import FLOOR, SPLIT_COLOURS, band, new_figure, save


def draw_disc(results: DiscResults, path: Path) -> None:
    """Draw the main net's curves, loss on the left and error on the right."""
    figure = new_figure(7.5, 3.2)
    panels = dict(zip(("loss", "error"), figure.subplots(1, 2), strict=True))
    for metric, axes in panels.items():
        for split in ("train", "test"):
            band(axes, results.values(results.main, split, metric), SPLIT_COLOURS[split], split)
        axes.set_xlabel("epoch")
    panels["loss"].set_ylabel("MSE")
    panels["loss"].set_ylim(bottom=0)
    panels["error"].set_ylabel("error")
    error_axis(panels["error"])
    if results.main in results.published:
        panels["error"].axhline(
            results.published[results.main], color=FLOOR, linestyle=":", label="published test error"
        )
    handles, labels = panels["error"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, path)

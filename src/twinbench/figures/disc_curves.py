"""MSE of the study's first model and error of all models after each epoch: mean over the rounds, band of one std.

Left: the first model's MSE on training and test points. Right: every model's error on test points, and the first
model's error on training points. The axis of the error is logarithmic. A dotted line is the published test error of the
model in that colour. The published Tanh model did not learn, so its error stayed there. Raw coordinates are the points
of [0, 1]² as drawn; the other models see coordinates with mean 0 and standard deviation 1.
"""

from pathlib import Path

from matplotlib.ticker import NullFormatter

from twinbench.figures.style import SPLIT_COLOURS, StudyResults, curve, epoch_axis, new_figure, percent_axis, save

TABLES = ("history",)
CURVES = ("train", "test")
TASK = "disc"
ERRORS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]  # ticks


def draw(results: StudyResults, path: Path) -> None:
    """Draw the loss of the first model on the left, and the errors of all models on the right."""
    figure = new_figure(8, 3.6)
    loss, error = figure.subplots(1, 2)
    first = results.models[0]
    colours = {model: look.colour for model, look in results.looks.items()} | {first: SPLIT_COLOURS["test"]}
    history = results.history.assign(error=1 - results.history["accuracy"])
    of_first, tested = history[history["model"] == first], history[history["split"] == "test"]
    trained = of_first[of_first["split"] == "train"]
    for split in ("train", "test"):
        curve(loss, of_first[of_first["split"] == split], "loss", SPLIT_COLOURS[split], split)
    curve(error, trained, "error", SPLIT_COLOURS["train"], f"{results.labels[first]}, training points")
    for model, colour in colours.items():
        curve(error, tested[tested["model"] == model], "error", colour, results.labels[model])
    for model, accuracy in results.published.items():
        label = f"published: {results.labels[model]}"
        error.axhline(1 - accuracy, color=colours[model], linestyle=":", label=label)
    for panel in (loss, error):
        epoch_axis(panel)
    loss.set(title=f"{results.labels[first]}: MSE", ylim=(0, None))
    error.set(title="error", yscale="log", ylim=(0.007, 0.6), yticks=ERRORS)
    error.yaxis.set_minor_formatter(NullFormatter())
    percent_axis(error.yaxis)
    loss.legend()
    save(figure, path, error, columns=3)

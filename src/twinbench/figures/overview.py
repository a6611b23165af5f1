"""Test accuracy of every model of every study: ours as mean and std over the rounds, the published value beside it."""

from pathlib import Path

import pandas as pd

from twinbench.evaluation.statistics import Summary, reported
from twinbench.figures.style import OURS, PUBLISHED, mark_floor, new_figure, percent_axis, save


def draw_overview(metrics: pd.DataFrame, studies: dict[str, dict], path: Path) -> None:
    """Draw one panel a study, a row a model.

    Args:
        metrics: all studies' metrics.
        studies: study → ``labels`` and ``published`` as in `style.StudyResults`.
        path: PNG to write.
    """
    accuracy = reported(metrics).query("split == 'test' and metric == 'accuracy'")
    rows = {
        study: [model for model in of_study["labels"] if model != "constant"] for study, of_study in studies.items()
    }
    heights = [len(models) for models in rows.values()]
    figure = new_figure(7.5, 0.27 * sum(heights) + 0.45 * len(rows) + 0.8)
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (study, models) in zip(panels, rows.items(), strict=True):
        of_study = accuracy[accuracy["study"] == study]
        for position, model in enumerate(models):
            ours = Summary.of(of_study.loc[of_study["model"] == model, "value"])
            panel.errorbar(ours.mean, position, xerr=ours.std if ours.n > 1 else None, fmt="o", color=OURS, capsize=3,
                           markersize=5, label="ours, mean ± std" if not position else None)  # fmt: skip
            if model in studies[study]["published"]:
                panel.plot(studies[study]["published"][model], position, "D", color=PUBLISHED, markersize=5,
                           markerfacecolor="none", label="published" if not position else None)  # fmt: skip
        mark_floor(panel, of_study.loc[of_study["model"] == "constant", "value"].mean())
        panel.set_yticks(range(len(models)), [studies[study]["labels"][model] for model in models])
        panel.set_ylim(len(models) - 0.5, -0.5)
        panel.set_title(study, loc="left", fontweight="bold")
    percent_axis(panels[-1].xaxis)
    panels[-1].set_xlabel("test accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, path)

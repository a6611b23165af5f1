"""Test accuracy of every model of every study: ours as mean and std over the rounds, the published value beside it.

Filled circles are models as described, empty ones are models as run. The dashed line is the majority class.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from twinbench.evaluation.statistics import reported
from twinbench.figures.style import OURS, PUBLISHED, model_rows, new_figure, published_marks, save
from twinbench.spec.fields import CONSTANT


def draw_overview(metrics: pd.DataFrame, studies: dict[str, dict], path: Path) -> None:
    """Draw one panel per study, a row per model.

    Args:
        metrics: all studies' metrics.
        studies: study → ``labels``, ``published`` and ``as_run`` as in `style.StudyResults`.
        path: PNG to write.
    """
    accuracy = reported(metrics).query("split == 'test' and metric == 'accuracy'")
    rows = {study: [model for model in of_study["labels"] if model != CONSTANT] for study, of_study in studies.items()}
    heights = [len(models) for models in rows.values()]
    figure = new_figure(7.5, 0.27 * sum(heights) + 0.45 * len(rows) + 0.8)
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (study, models) in zip(panels, rows.items(), strict=True):
        of_study = accuracy[accuracy["study"] == study]
        mean, std = of_study.groupby("model")["value"].agg(["mean", "std"]).reindex(models).to_numpy().T
        as_run, size = studies[study]["as_run"], {"markersize": 5}
        published, places = published_marks(studies[study]["published"], models, as_run), np.arange(len(models))
        run = np.array([model in as_run for model in models])
        for chosen, name, fill in ((~run, "ours, mean ± std", OURS), (run, "ours, as run", "white")):
            panel.errorbar(mean[chosen], places[chosen], xerr=std[chosen], fmt="o", color=OURS, markerfacecolor=fill,
                           capsize=3, label=name, **size)  # fmt: skip
        panel.plot(published, places, "D", color=PUBLISHED, markerfacecolor="none", label="published", **size)
        model_rows(panel, [studies[study]["labels"][model] for model in models], of_study)
        panel.set_title(study, loc="left", fontweight="bold")
    panels[-1].set_xlabel("test accuracy")
    save(figure, path, panels[0])

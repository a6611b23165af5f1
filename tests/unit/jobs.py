"""A made-up study's training jobs and their predictions, run in this process as the workflow's scripts run them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import Tensor

from twinbench.evaluation.aggregation import study_metrics
from twinbench.evaluation.predictions import predict_study
from twinbench.files import read_tensors
from twinbench.spec.study import Study
from twinbench.spec.training import Cell
from twinbench.tasks import draw
from twinbench.training.cell import Inputs, Outputs, train_cell
from twinbench.training.record import Record


@dataclass
class Ran:
    """The files that the jobs of a study wrote; records and weights by model."""

    examples: pd.DataFrame
    predictions: pd.DataFrame
    metrics: pd.DataFrame
    history: pd.DataFrame
    records: dict[str, Record]
    weights: dict[str, dict[str, Tensor]]
    predict: object  # call it to predict again, maybe with changes to what the predictions depend on


def run(study: Study, folder: Path, images: Path) -> Ran:
    """Draw, train one job per model over all rounds, and predict."""
    folder.mkdir(exist_ok=True)
    examples = folder / "examples.parquet"
    draw(rounds=range(study.protocol.rounds), images=images, **study.draw(30_000)).to_parquet(examples)
    outputs = {}
    for model in study.models:
        names = ("weights", "history", "record")
        outputs[model] = Outputs(**{name: folder / f"{model}-{name}" for name in names})
        train_cell(
            Cell(**study.cell(model)), range(study.protocol.rounds), Inputs([examples], images), outputs[model],
            threads=1, gpu=False, code="", checkpoint=folder / "c",
        )  # fmt: skip

    def predict(**changes: object) -> pd.DataFrame:
        return predict_study(
            {model: tested | changes for model, tested in study.predicted().items()}, study.folds,
            records=[of.record for of in outputs.values()], weights=[of.weights for of in outputs.values()],
            examples=[examples], images=images,
        )  # fmt: skip

    predictions = predict()
    return Ran(
        pd.read_parquet(examples), predictions, study_metrics(predictions, study.scoring(), study.name),
        pd.concat([pd.read_parquet(of.history) for of in outputs.values()], ignore_index=True),
        {model: Record.read(of.record) for model, of in outputs.items()},
        {model: read_tensors(of.weights) for model, of in outputs.items()}, predict,
    )  # fmt: skip

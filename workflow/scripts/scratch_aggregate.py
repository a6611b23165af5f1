from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.evaluation.aggregation import study_cells, study_history
from twinbench.files import read_parquet, whole
from twinbench.scratch.results import collect_predictions, scratch_metrics

joblog.start(snakemake.log[0])
nets = [cell["net"] for cell in snakemake.params.cells]
axes = [{"study": "scratch", "model": net, "fold": "all"} for net in nets]
files = {name: [Path(path) for path in snakemake.input[name]] for name in ("predictions", "records", "histories")}
points = pd.concat(map(read_parquet, snakemake.input.points), ignore_index=True)
predictions = collect_predictions(files["predictions"], nets)
tables = {"points": points, "predictions": predictions, "metrics": scratch_metrics(predictions, points)}
tables |= {"cells": study_cells(files["records"], axes), "history": study_history(files["histories"], axes)}
for name, table in tables.items():
    with whole(snakemake.output[name]) as path:
        table.to_parquet(path, index=False)

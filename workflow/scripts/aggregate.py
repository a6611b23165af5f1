from pathlib import Path

from twinbench import joblog
from twinbench.evaluation.aggregation import study_cells, study_history, study_metrics
from twinbench.files import whole

joblog.start(snakemake.log[0])
scoring = snakemake.params.scoring
axes = [{name: cell[name] for name in ("study", "model", "fold")} for cell in snakemake.params.cells]
predictions = dict(zip(scoring, map(Path, snakemake.input.predictions), strict=True))
tables = {
    "metrics": study_metrics(predictions, scoring, snakemake.wildcards.study),
    "cells": study_cells([Path(path) for path in snakemake.input.records], axes),
    "history": study_history([Path(path) for path in snakemake.input.histories], axes),
}
for name, table in tables.items():
    with whole(snakemake.output[name]) as path:
        table.to_parquet(path, index=False)

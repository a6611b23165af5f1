import pandas as pd

from twinbench import joblog
from twinbench.evaluation.aggregation import study_cells, study_metrics
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
predictions = read_parquet(snakemake.input.predictions)
tables = {
    "metrics": study_metrics(predictions, snakemake.params.scoring, snakemake.wildcards.study),
    "cells": study_cells(snakemake.input.records),
    "history": pd.concat(map(read_parquet, snakemake.input.histories), ignore_index=True),
}
for name, table in tables.items():
    with whole(snakemake.output[name]) as path:
        table.to_parquet(path, index=False)

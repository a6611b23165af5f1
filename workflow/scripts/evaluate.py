from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.evaluation.predictions import predict_cell
from twinbench.files import read_parquet, whole
from twinbench.machine import prepare

joblog.start(snakemake.log[0])
prepare(snakemake.threads)
files = zip(snakemake.input.pairs, snakemake.input.weights, snakemake.input.records, strict=True)
tables = [
    predict_cell(
        snakemake.params.cell,
        fold=cell["fold"],
        digits=Path(snakemake.input.digits),
        pairs=read_parquet(pairs),
        weights=Path(weights),
        record=Path(record),
    )
    for cell, (pairs, weights, record) in zip(snakemake.params.cells, files, strict=True)
]
with whole(snakemake.output[0]) as path:
    pd.concat(tables, ignore_index=True).to_parquet(path, index=False)

from pathlib import Path

import pandas as pd

from twinbench import joblog, machine
from twinbench.evaluation.predictions import predict_cell

joblog.start(snakemake.log[0])
machine.prepare(snakemake.threads)
files = zip(snakemake.input.pairs, snakemake.input.weights, snakemake.input.records, strict=True)
tables = [
    predict_cell(
        snakemake.params.cell,
        fold=cell["fold"],
        digits=Path(snakemake.input.digits),
        pairs=pd.read_parquet(pairs),
        weights=Path(weights),
        record=Path(record),
    )
    for cell, (pairs, weights, record) in zip(snakemake.params.cells, files, strict=True)
]
pd.concat(tables, ignore_index=True).to_parquet(snakemake.output[0], index=False)

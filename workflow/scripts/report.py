from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.report.build import build_report

joblog.start(snakemake.log[0])
build_report(
    snakemake.params.plan,
    snakemake.params.captions,
    pd.read_parquet(snakemake.input.metrics),
    pd.read_parquet(snakemake.input.cells),
    Path(snakemake.input.template),
    Path(snakemake.output[0]),
)

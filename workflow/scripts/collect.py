import pandas as pd

from twinbench import joblog
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
tables = map(read_parquet, snakemake.input)
with whole(snakemake.output[0]) as path:
    pd.concat(tables, ignore_index=True).to_parquet(path, index=False)

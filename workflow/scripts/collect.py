import pandas as pd

from twinbench import joblog

joblog.start(snakemake.log[0])
tables = map(pd.read_parquet, snakemake.input)
pd.concat(tables, ignore_index=True).to_parquet(snakemake.output[0], index=False)

import pandas as pd

from twinbench import joblog
from twinbench.evaluation.constant import predict_majority

joblog.start(snakemake.log[0])
pairs = pd.concat(map(pd.read_parquet, snakemake.input.pairs), ignore_index=True)
tables = [predict_majority(pairs, fold) for fold in snakemake.params.folds]
pd.concat(tables, ignore_index=True).to_parquet(snakemake.output[0], index=False)

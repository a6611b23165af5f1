import pandas as pd

from twinbench import joblog
from twinbench.evaluation.constant import predict_majority
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
pairs = pd.concat(map(read_parquet, snakemake.input.pairs), ignore_index=True)
tables = [predict_majority(pairs, fold) for fold in snakemake.params.folds]
with whole(snakemake.output[0]) as path:
    pd.concat(tables, ignore_index=True).to_parquet(path, index=False)

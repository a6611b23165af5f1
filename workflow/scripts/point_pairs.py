from twinbench import joblog
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
table = read_parquet(snakemake.input[0])
kept = table[(table["split"] != "train") | (table["pair"] < snakemake.params.train)]
with whole(snakemake.output[0]) as path:
    kept.to_parquet(path, index=False)

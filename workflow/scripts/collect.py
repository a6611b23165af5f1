import pandas as pd

from twinbench import joblog
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
for name, output in snakemake.output.items():
    paths = snakemake.input[name]
    tables = map(read_parquet, [paths] if isinstance(paths, str) else paths)
    with whole(output) as path:
        pd.concat(tables, ignore_index=True).to_parquet(path, index=False)

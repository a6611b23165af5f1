from pathlib import Path

from twinbench import joblog
from twinbench.evaluation.sweeps import sweep_table
from twinbench.files import whole

joblog.start(snakemake.log[0])
files = ([Path(path) for path in snakemake.input[name]] for name in ("records", "histories"))
with whole(snakemake.output[0]) as path:
    sweep_table(snakemake.params.sweeps, snakemake.params.cells, *files).to_parquet(path, index=False)

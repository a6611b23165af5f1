from importlib import import_module

from twinbench import joblog
from twinbench.figures.sweeps import SweepResults
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
table, swept = read_parquet(snakemake.input[0]), snakemake.params.swept
results = SweepResults(table[table["sweep"] == snakemake.wildcards.sweep], swept)
with whole(snakemake.output[0]) as path:
    import_module(f"twinbench.figures.{swept['figure']}").draw_sweep(results, path)

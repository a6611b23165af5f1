from importlib import import_module

from twinbench import joblog
from twinbench.figures.disc_results import DiscResults
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
tables = {name: read_parquet(snakemake.input[name]) for name in ("metrics", "history", "points", "predictions")}
results = DiscResults(**tables, **snakemake.params.figure)
with whole(snakemake.output[0]) as path:
    import_module(f"twinbench.figures.{snakemake.wildcards.disc_figure}").draw_disc(results, path)

from importlib import import_module

from twinbench import joblog
from twinbench.figures.style import StudyResults
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
tables = {name: read_parquet(path) for name, path in snakemake.input.items()}
with whole(snakemake.output[0]) as path:
    figure = import_module(f"twinbench.figures.{snakemake.wildcards.figure}")
    figure.draw(StudyResults(**tables, **snakemake.params.shown), path)

from importlib import import_module

from twinbench import joblog
from twinbench.figures.style import StudyResults
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
tables = {name: read_parquet(path) for name, path in snakemake.input.items()}
results = StudyResults(**tables, labels=snakemake.params.labels, published=snakemake.params.published)
with whole(snakemake.output[0]) as path:
    import_module(f"twinbench.figures.{snakemake.wildcards.figure}").draw(results, path)

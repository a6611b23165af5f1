from twinbench import joblog
from twinbench.figures.overview import draw_overview
from twinbench.files import read_parquet, whole

joblog.start(snakemake.log[0])
with whole(snakemake.output[0]) as path:
    draw_overview(read_parquet(snakemake.input.metrics), snakemake.params.studies, path)

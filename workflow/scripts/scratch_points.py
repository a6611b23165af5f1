from twinbench import joblog
from twinbench.files import whole
from twinbench.scratch.disc import draw_points

joblog.start(snakemake.log[0])
first, last = snakemake.params.rounds
table = draw_points(**snakemake.params.points, rounds=range(first, last + 1))
with whole(snakemake.output[0]) as path:
    table.to_parquet(path, index=False)

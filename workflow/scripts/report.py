from pathlib import Path

from twinbench import joblog
from twinbench.files import read_parquet, whole
from twinbench.report.build import build_report
from twinbench.report.scratch import scratch_part

joblog.start(snakemake.log[0])
scratch = snakemake.params.scratch and scratch_part(
    snakemake.params.scratch,
    *map(read_parquet, snakemake.input.scratch),
    Path(snakemake.input.scratch_template),
)
with whole(snakemake.output[0]) as path:
    build_report(
        snakemake.params.plan,
        snakemake.params.captions,
        snakemake.params.missing,
        read_parquet(snakemake.input.metrics),
        read_parquet(snakemake.input.cells),
        read_parquet(snakemake.input.errors),
        Path(snakemake.input.template),
        path,
        scratch,
        read_parquet(snakemake.input.sweeps[0]) if snakemake.input.sweeps else None,
    )

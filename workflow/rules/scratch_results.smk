# The from-scratch study as tidy Parquet, and its figures; the report takes both in.


rule scratch_aggregate:
    input:
        points=expand(SCRATCH_POINTS, rounds=scratch.blocks),
        predictions=of_scratch_cells(f"{SCRATCH_CELL}/predictions.parquet"),
        records=of_scratch_cells(f"{SCRATCH_CELL}/record.json"),
        histories=of_scratch_cells(f"{SCRATCH_CELL}/history.parquet"),
    output:
        **{table: f"{SCRATCH}/{table}.parquet" for table in ("points", "predictions", "metrics", "cells", "history")},
    log:
        f"{LOGS}/scratch/aggregate.log",
    benchmark:
        f"{BENCHMARKS}/scratch/aggregate.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=5,
    params:
        cells=scratch.cells(),
        code=code("scratch_aggregate.py"),
    script:
        "../scripts/scratch_aggregate.py"


rule scratch_figure:
    input:
        **rules.scratch_aggregate.output,
    output:
        report(
            SCRATCH_FIGURE,
            caption="../report/figure.rst",
            category="scratch",
            labels={"figure": "{disc_figure}"},
        ),
    log:
        f"{LOGS}/figures/scratch/{{disc_figure}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/scratch/{{disc_figure}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        figure=scratch.figure(),
        caption=disc_figure_caption,
        code=disc_figure_code,
    script:
        "../scripts/scratch_figure.py"

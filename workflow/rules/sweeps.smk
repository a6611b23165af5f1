# Sweeps: their points are cells like any other; here are their table, a figure each, and what the report takes in.


rule sweep_table:
    input:
        records=of_sweep_cells(f"{CELL}/record.json"),
        histories=of_sweep_cells(f"{CELL}/history.parquet"),
    output:
        f"{RESULTS}/studies/{{study}}/sweeps.parquet",
    log:
        f"{LOGS}/sweeps/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/sweeps/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        sweeps=of_plan(plan.sweep_tables),
        cells=of_plan(plan.sweep_cells),
        code=code("sweep_table.py"),
    script:
        "../scripts/sweep_table.py"


rule sweep_figure:
    input:
        f"{RESULTS}/studies/{{study}}/sweeps.parquet",
    output:
        report(
            SWEEP_FIGURE,
            caption="../report/figure.rst",
            category="{study}",
            subcategory="sweeps",
            labels={"figure": "{sweep}"},
        ),
    log:
        f"{LOGS}/figures/{{study}}/sweeps/{{sweep}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/{{study}}/sweeps/{{sweep}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        swept=sweep_of,
        caption=sweep_caption,
        code=sweep_code,
    script:
        "../scripts/sweep_figure.py"


rule collect_sweeps:
    input:
        expand(f"{RESULTS}/studies/{{study}}/sweeps.parquet", study=plan.swept_studies),
    output:
        SWEEPS,
    log:
        f"{LOGS}/collect/sweeps.log",
    benchmark:
        f"{BENCHMARKS}/collect/sweeps.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("collect.py"),
    script:
        "../scripts/collect.py"

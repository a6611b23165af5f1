# Tidy Parquet: first each study's, then all studies together.


rule aggregate:
    input:
        predictions=of_models(PREDICTIONS),
        records=of_cells(f"{CELL}/record.json"),
        histories=of_cells(f"{CELL}/history.parquet"),
    output:
        metrics=f"{RESULTS}/studies/{{study}}/metrics.parquet",
        cells=f"{RESULTS}/studies/{{study}}/cells.parquet",
        history=f"{RESULTS}/studies/{{study}}/history.parquet",
    log:
        f"{LOGS}/aggregate/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/aggregate/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        scoring=of_plan(plan.scoring),
        cells=of_plan(plan.cells),
        code=code("aggregate.py"),
    script:
        "../scripts/aggregate.py"


rule collect:
    input:
        of_studies(f"{RESULTS}/studies/{{study}}/{{{{table}}}}.parquet"),
    output:
        f"{RESULTS}/{{table,metrics|cells|history}}.parquet",
    log:
        f"{LOGS}/collect/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/collect/{{table}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("collect.py"),
    script:
        "../scripts/collect.py"

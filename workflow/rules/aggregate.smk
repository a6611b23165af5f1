# Tidy Parquet: first each study's, then all studies together.


rule aggregate:
    input:
        predictions=of_models(PREDICTIONS, CONSTANT),
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


rule errors:
    input:
        digits=DIGITS,
        pairs=of_blocks(PAIRS),
        predictions=of_models(PREDICTIONS),
        metrics=f"{RESULTS}/studies/{{study}}/metrics.parquet",
    output:
        errors=f"{RESULTS}/studies/{{study}}/errors.parquet",
        hardest=f"{RESULTS}/studies/{{study}}/hardest.parquet",
    log:
        f"{LOGS}/errors/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/errors/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        answering=of_plan(plan.answering),
        code=code("errors.py"),
    script:
        "../scripts/errors.py"


rule collect:
    input:
        of_studies(f"{RESULTS}/studies/{{study}}/{{{{table}}}}.parquet"),
    output:
        f"{RESULTS}/{{table,metrics|cells|history|errors}}.parquet",
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

# Tidy Parquet: first each study's, then all studies together.


rule aggregate:
    input:
        predictions=PREDICTIONS,
        records=of_cells(f"{CELL}/record.json"),
        histories=of_cells(f"{CELL}/history.parquet"),
    output:
        **{table: STUDY_TABLE.replace("{table}", table) for table in ("metrics", "cells", "history")},
    log:
        f"{LOGS}/aggregate/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/aggregate/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        scoring=of_study("scoring"),
        code=code("aggregate.py"),
    script:
        "../scripts/aggregate.py"


# Only for studies whose task is pairs.
rule errors:
    input:
        images=IMAGES,
        examples=examples_of_study,
        predictions=PREDICTIONS,
        metrics=STUDY_TABLE.replace("{table}", "metrics"),
    output:
        **{table: STUDY_TABLE.replace("{table}", table) for table in ("errors", "hardest")},
    log:
        f"{LOGS}/errors/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/errors/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        answering=of_study("answering"),
        code=code("errors.py"),
    script:
        "../scripts/errors.py"


# Each table of all studies; that of the errors, only of studies whose task is pairs.
rule collect:
    input:
        **{table: expand(STUDY_TABLE, study=TABLES[table], table=table) for table in COLLECTED},
    output:
        **{table: TABLE.format(table=table) for table in COLLECTED},
    log:
        f"{LOGS}/collect.log",
    benchmark:
        f"{BENCHMARKS}/collect.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        code=code("collect.py"),
    script:
        "../scripts/collect.py"

# Predictions on every example: all reported numbers are computed from them, so a new metric needs no retraining.


rule evaluate:
    input:
        images=images_of,
        examples=examples_of_study,
        weights=of_cells(f"{CELL}/weights.safetensors"),
        records=of_cells(f"{CELL}/record.json"),
    output:
        PREDICTIONS,
    log:
        f"{LOGS}/evaluate/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        models=of_study("predicted"),
        folds=of_study("folds"),
        code=model_code("evaluate.py"),
    script:
        "../scripts/evaluate.py"

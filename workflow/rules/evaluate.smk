# Predictions on every pair: all reported numbers are computed from them, so a new metric needs no retraining.


rule evaluate:
    input:
        digits=DIGITS,
        pairs=pairs_of_cells,
        weights=of_cells(f"{CELL}/weights.safetensors"),
        records=of_cells(f"{CELL}/record.json"),
    output:
        PREDICTIONS,
    log:
        f"{LOGS}/evaluate/{{study}}/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{{study}}/{{model}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        cell=of_plan(plan.cell),
        cells=of_plan(plan.cells),
        code=cell_code("evaluate.py"),
    script:
        "../scripts/evaluate.py"


rule constant:
    input:
        pairs=of_blocks(PAIRS),
    output:
        PREDICTIONS.replace("{model}", CONSTANT),
    log:
        f"{LOGS}/evaluate/{{study}}/{CONSTANT}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{{study}}/{CONSTANT}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        folds=of_plan(plan.folds),
        code=code("constant.py"),
    script:
        "../scripts/constant.py"

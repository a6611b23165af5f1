# One cell per job: a model of a study, on all folds, for a block of rounds.


rule train:
    input:
        images=images_of,
        examples=examples_of_cell,
        pretrained=cell_pretrained,
    output:
        weights=f"{CELL}/weights.safetensors",
        history=f"{CELL}/history.parquet",
        record=f"{CELL}/record.json",
    log:
        TRAIN_LOG,
    benchmark:
        f"{BENCHMARKS}/train/{{study}}/{{model}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    threads: 1
    resources:
        mem_mb=cell_memory,
        runtime=60,
        gpu=cell_gpus,
    params:
        cell=of_study("cell", "model"),
        code=model_code("train.py"),
        checkpoint=f"{RESULTS}/checkpoints/{{study}}/{{model}}/rounds-{{rounds}}.safetensors",
    script:
        "../scripts/train.py"

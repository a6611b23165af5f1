# One cell per job: a model of a study, on one fold, for a block of rounds.


rule train:
    input:
        images=images_of,
        examples=EXAMPLES,
        pretrained=cell_pretrained,
    output:
        weights=f"{CELL}/weights.safetensors",
        history=f"{CELL}/history.parquet",
        record=f"{CELL}/record.json",
    log:
        TRAIN_LOG,
    benchmark:
        f"{BENCHMARKS}/train/{{study}}/{{model}}/fold-{{fold}}/rounds-{{rounds}}.tsv"
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
        checkpoint=f"{RESULTS}/checkpoints/{{study}}/{{model}}/fold-{{fold}}/rounds-{{rounds}}.safetensors",
    script:
        "../scripts/train.py"

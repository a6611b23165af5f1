# The official files of the data set, verified and pooled once; pre-trained weights, checked; each study's examples.


rule images:
    input:
        DATASET.files(CONFIG.data.source),
    output:
        IMAGES,
    log:
        f"results/images/{DATASET.name}.log",
    benchmark:
        f"results/images/{DATASET.name}.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        dataset=DATASET.name,
        code=code("images.py", DATASET.module),
    script:
        "../scripts/images.py"


# Part of the DAG only if the config names such weights and a study has a model that starts from them.
rule pretrained:
    input:
        [] if CONFIG.pretrained.resnet18 in ("random", "download") else CONFIG.pretrained.resnet18,
    output:
        PRETRAINED.format(name="resnet18"),
    log:
        "results/pretrained/resnet18.log",
    benchmark:
        "results/pretrained/resnet18.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        source=CONFIG.pretrained.resnet18,
        code=code("pretrained.py"),
    script:
        "../scripts/pretrained.py"


# Pairs of images or points of the disc, the same for every model of a study.
rule draw:
    input:
        images=images_of,
    output:
        EXAMPLES,
    log:
        f"{LOGS}/draw/{{study}}/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/draw/{{study}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        examples=drawn,
        code=draw_code,
    script:
        "../scripts/draw.py"

# The official MNIST files, verified and pooled once; pre-trained weights, checked; the seeded pairs of each study.


rule mnist:
    input:
        mnist_files(plan.config.data.source),
    output:
        DIGITS,
    log:
        "results/mnist/mnist.log",
    benchmark:
        "results/mnist/benchmark.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        code=code("mnist.py"),
    script:
        "../scripts/mnist.py"


# Part of the DAG only if the config names such weights and a study has a model that starts from them.
rule pretrained:
    input:
        pretrained_file(plan.config.pretrained.resnet18),
    output:
        PRETRAINED.format(name="resnet18"),
    log:
        "results/pretrained/resnet18.log",
    benchmark:
        "results/pretrained/resnet18.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        source=plan.config.pretrained.resnet18,
        code=code("pretrained.py"),
    script:
        "../scripts/pretrained.py"


rule pairs:
    input:
        digits=DIGITS,
    output:
        PAIRS,
    log:
        f"{LOGS}/pairs/{{study}}/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/pairs/{{study}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        pairs=of_plan(plan.pairs),
        code=code("pairs.py"),
    script:
        "../scripts/pairs.py"


# For a point of a sweep over the number of training pairs: the first of the sweep's own.
rule point_pairs:
    input:
        PAIRS,
    output:
        POINT_PAIRS,
    log:
        f"{LOGS}/pairs/{{study}}/{{model}}/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/pairs/{{study}}/{{model}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        train=of_plan(plan.train_pairs),
        code=code("point_pairs.py"),
    script:
        "../scripts/point_pairs.py"

# The official MNIST files, verified and pooled once; then the seeded pairs of each study.


rule mnist:
    output:
        DIGITS,
    params:
        source=plan.config.data.source,
        shipped="resources/mnist",
        code=code("mnist.py", "twinbench.data.mnist"),
    log:
        "results/mnist/mnist.log",
    benchmark:
        "results/mnist/benchmark.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    script:
        "../scripts/mnist.py"


rule pairs:
    input:
        digits=DIGITS,
    output:
        PAIRS,
    params:
        pairs=of_plan(plan.pairs),
        code=code("pairs.py", "twinbench.data.pairs"),
    log:
        f"{LOGS}/pairs/{{study}}/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/pairs/{{study}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    script:
        "../scripts/pairs.py"

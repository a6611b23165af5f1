# The from-scratch framework: points of the disc → train; and the same framework on the digit pairs of a study.


wildcard_constraints:
    net="|".join(scratch.nets),
    disc_figure="|".join(disc_captions()),


rule scratch_points:
    output:
        SCRATCH_POINTS,
    log:
        f"{LOGS}/scratch/points/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/scratch/points/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        points=scratch.points(),
        rounds=scratch_rounds,
        code=code("scratch_points.py"),
    script:
        "../scripts/scratch_points.py"


rule scratch_pairs:
    input:
        digits=DIGITS,
    output:
        SCRATCH_PAIRS,
    log:
        f"{LOGS}/scratch/pairs/rounds-{{rounds}}.log",
    benchmark:
        f"{BENCHMARKS}/scratch/pairs/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        pairs=scratch.pairs(),
        rounds=scratch_rounds,
        code=code("scratch_pairs.py"),
    script:
        "../scripts/scratch_pairs.py"


rule scratch_train:
    input:
        points=SCRATCH_POINTS,
    output:
        history=f"{SCRATCH_CELL}/history.parquet",
        predictions=f"{SCRATCH_CELL}/predictions.parquet",
        record=f"{SCRATCH_CELL}/record.json",
    log:
        SCRATCH_LOG,
    benchmark:
        f"{BENCHMARKS}/scratch/train/{{net}}/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        cell=scratch_cell,
        code=code("scratch_train.py"),
    script:
        "../scripts/scratch_train.py"


rule scratch_digits:
    input:
        digits=DIGITS,
        pairs=SCRATCH_PAIRS,
    output:
        **{name: path.format(net="digits", rounds="{rounds}") for name, path in rules.scratch_train.output.items()},
    log:
        SCRATCH_LOG.replace("{net}", "digits"),
    benchmark:
        f"{BENCHMARKS}/scratch/train/digits/rounds-{{rounds}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        cell=scratch.cell("digits"),
        code=code("scratch_digits.py"),
    script:
        "../scripts/scratch_digits.py"

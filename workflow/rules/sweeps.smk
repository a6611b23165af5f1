# Sweeps: their points are cells like any other; here are their table, a figure each, and what the report takes in.

SWEEPS = f"{RESULTS}/sweeps.parquet"
SWEEP_FIGURE = f"{RESULTS}/figures/{{study}}/sweeps/{{sweep}}.png"


wildcard_constraints:
    sweep=any_of(name.partition(".")[2] for name in plan.sweeps),


def of_sweep_cells(pattern):
    """Input function: the pattern for every cell of all sweeps of the wildcards' study."""

    def paths(wildcards):
        return [pattern.format(**cell) for cell in plan.sweep_cells(wildcards.study)]

    return paths


def sweep_of(wildcards):
    """Param function: what the plan says of the wildcards' sweep."""
    return plan.sweep(f"{wildcards.study}.{wildcards.sweep}")


def sweep_caption(wildcards):
    return captions()[sweep_of(wildcards)["figure"]]


def sweep_code(wildcards):
    return code("sweep_figure.py", f"twinbench.figures.{sweep_of(wildcards)['figure']}")


def sweep_tables():
    """The table that the report takes in; none if the sweeps are off."""
    return [SWEEPS] if plan.sweeps else []


def sweep_figures():
    """The figures that the report takes in; none if the sweeps are off."""
    return [SWEEP_FIGURE.format(study=study, sweep=sweep) for study, sweep in (name.split(".") for name in plan.sweeps)]


rule sweep_table:
    input:
        records=of_sweep_cells(f"{CELL}/record.json"),
        histories=of_sweep_cells(f"{CELL}/history.parquet"),
    output:
        f"{RESULTS}/studies/{{study}}/sweeps.parquet",
    log:
        f"{LOGS}/sweeps/{{study}}.log",
    benchmark:
        f"{BENCHMARKS}/sweeps/{{study}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        sweeps=of_plan(plan.sweep_tables),
        cells=of_plan(plan.sweep_cells),
        code=code("sweep_table.py"),
    script:
        "../scripts/sweep_table.py"


rule sweep_figure:
    input:
        f"{RESULTS}/studies/{{study}}/sweeps.parquet",
    output:
        report(
            SWEEP_FIGURE,
            caption="../report/figure.rst",
            category="{study}",
            subcategory="sweeps",
            labels={"figure": "{sweep}"},
        ),
    log:
        f"{LOGS}/figures/{{study}}/sweeps/{{sweep}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/{{study}}/sweeps/{{sweep}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        swept=sweep_of,
        caption=sweep_caption,
        code=sweep_code,
    script:
        "../scripts/sweep_figure.py"


rule collect_sweeps:
    input:
        expand(f"{RESULTS}/studies/{{study}}/sweeps.parquet", study=plan.swept_studies),
    output:
        SWEEPS,
    log:
        f"{LOGS}/collect/sweeps.log",
    benchmark:
        f"{BENCHMARKS}/collect/sweeps.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("collect.py"),
    script:
        "../scripts/collect.py"

# A figure a job. The caption is the docstring of the figure's module, here, in report.md and in the HTML report.


rule figure:
    input:
        metrics=f"{RESULTS}/studies/{{study}}/metrics.parquet",
        history=f"{RESULTS}/studies/{{study}}/history.parquet",
        errors=f"{RESULTS}/studies/{{study}}/errors.parquet",
        hardest=f"{RESULTS}/studies/{{study}}/hardest.parquet",
    output:
        report(
            FIGURE,
            caption="../report/figure.rst",
            category="{study}",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LOGS}/figures/{{study}}/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/{{study}}/{{figure}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        labels=of_plan(plan.labels),
        published=of_plan(plan.published_accuracy),
        caption=figure_caption,
        code=figure_code,
    script:
        "../scripts/figure.py"


rule overview:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        report(
            f"{RESULTS}/figures/overview.png",
            caption="../report/figure.rst",
            category="all studies",
            labels={"figure": "overview"},
        ),
    log:
        f"{LOGS}/figures/overview.log",
    benchmark:
        f"{BENCHMARKS}/figures/overview.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        studies={
            study: {"labels": plan.labels(study), "published": plan.published_accuracy(study)}
            for study in plan.studies
        },
        caption=captions()["overview"],
        code=code("overview.py"),
    script:
        "../scripts/overview.py"

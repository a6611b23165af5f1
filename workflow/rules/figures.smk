# One figure per job. The caption is the docstring of the figure's module, here, in report.md and in the HTML report.


rule figure:
    input:
        unpack(figure_tables),
    output:
        report(
            FIGURE,
            caption="../report/figure.rst",
            category=figure_category,
            labels=figure_labels,
        ),
    log:
        f"{LOGS}/figures/{{study}}/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/{{study}}/{{figure}}.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        shown=of_study("shown"),
        caption=figure_caption,
        code=figure_code,
    script:
        "../scripts/figure.py"


# Only of studies whose task is pairs.
rule overview:
    input:
        metrics=TABLE.format(table="metrics"),
    output:
        report(
            OVERVIEW,
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
    params:
        studies={name: STUDIES[name].shown() for name in OF_PAIRS},
        caption=captions()["overview"],
        code=code("overview.py"),
    script:
        "../scripts/overview.py"

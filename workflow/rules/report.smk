# The Markdown report, and an archive of it to send to someone.


rule report:
    input:
        metrics=TABLE.format(table="metrics"),
        cells=TABLE.format(table="cells"),
        errors=TABLE.format(table="errors") if OF_PAIRS else [],
        overview=OVERVIEW if OF_PAIRS else [],
        figures=[FIGURE.format(study=study.name, figure=name) for study in STUDIES.values() for name in study.figures],
        template="src/twinbench/report/template.md.j2",
    output:
        report=f"{RESULTS}/report.md",
        reproduction=f"{RESULTS}/reproduction.parquet",
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        config=CONFIG.model_dump(),
        studies=[study.model_dump() for study in STUDIES.values()],
        captions=captions(),
        missing=[cell | {"log": TRAIN_LOG.format(**cell)} for cell in MISSING],
        code=code("report.py", "twinbench.provenance"),  # whose list of packages the report shows
    script:
        "../scripts/report.py"


rule archive:
    input:
        rules.report.output,
        rules.report.input.metrics,
        rules.report.input.cells,
        TABLE.format(table="history"),
        rules.report.input.errors,
        rules.report.input.overview,
        rules.report.input.figures,
    output:
        f"{RESULTS}/twinbench-{Path(RESULTS).name}.zip",
    log:
        f"{LOGS}/archive.log",
    benchmark:
        f"{BENCHMARKS}/archive.tsv"
    conda:
        "../envs/twinbench.yaml"
    params:
        code=code("archive.py"),
    script:
        "../scripts/archive.py"

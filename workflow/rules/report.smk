# The Markdown report, and an archive of it to send to someone.


rule report:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        cells=f"{RESULTS}/cells.parquet",
        history=f"{RESULTS}/history.parquet",
        errors=f"{RESULTS}/errors.parquet",
        overview=f"{RESULTS}/figures/overview.png",
        figures=[FIGURE.format(study=study, figure=figure) for study, figure in plan.figures()],
        sweeps=sweep_tables(),
        sweep_figures=sweep_figures(),
        scratch=scratch_tables(),
        scratch_figures=scratch_figures(),
        template="src/twinbench/report/template.md.j2",
        scratch_template="src/twinbench/report/scratch.md.j2",
    output:
        f"{RESULTS}/report.md",
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        plan=plan.report(),
        scratch=scratch.report() if scratch else None,
        captions=captions(),
        missing=missing_cells(),
        code=code("report.py", "twinbench.provenance"),
    script:
        "../scripts/report.py"


rule archive:
    input:
        rules.report.output,
        rules.report.input.metrics,
        rules.report.input.cells,
        rules.report.input.history,
        rules.report.input.errors,
        rules.report.input.overview,
        rules.report.input.figures,
        rules.report.input.sweeps,
        rules.report.input.sweep_figures,
        rules.report.input.scratch,
        rules.report.input.scratch_figures,
    output:
        f"{RESULTS}/twinbench-{plan.config.scale}.zip",
    log:
        f"{LOGS}/archive.log",
    benchmark:
        f"{BENCHMARKS}/archive.tsv"
    conda:
        "../envs/twinbench.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=code("archive.py"),
    script:
        "../scripts/archive.py"

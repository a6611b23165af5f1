from pathlib import Path

from twinbench import joblog
from twinbench.files import read_parquet, whole
from twinbench.report.build import build_report
from twinbench.spec.study import Study

joblog.start(snakemake.log[0])
tables = {name: read_parquet(snakemake.input[name]) for name in ("metrics", "cells", "errors") if snakemake.input[name]}
with whole(snakemake.output[0]) as path:
    build_report(
        snakemake.params.config,
        [Study(**study) for study in snakemake.params.studies],
        snakemake.params.captions,
        snakemake.params.missing,
        **({"errors": None} | tables),
        template=Path(snakemake.input.template),
        output=path,
    )

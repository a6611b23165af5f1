from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.evaluation.reproduction import reproduction
from twinbench.evaluation.verdicts import Measured
from twinbench.files import read_parquet, whole
from twinbench.report.build import build_report
from twinbench.spec.study import Study

joblog.start(snakemake.log[0])
tables = {name: read_parquet(snakemake.input[name]) for name in ("metrics", "cells", "errors") if snakemake.input[name]}
studies = [Study(**study) for study in snakemake.params.studies]
measured = [Measured.of(study, tables["metrics"], tables["cells"]) for study in studies if not study.swept]
reproduced = pd.concat(map(reproduction, measured), ignore_index=True)
with whole(snakemake.output.reproduction) as path:
    reproduced.to_parquet(path, index=False)
with whole(snakemake.output.report) as path:
    build_report(
        snakemake.params.config,
        studies,
        snakemake.params.captions,
        snakemake.params.missing,
        **({"errors": None} | tables),
        reproduced=reproduced,
        template=Path(snakemake.input.template),
        output=path,
    )

from importlib import import_module
from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.figures.style import StudyResults

joblog.start(snakemake.log[0])
tables = {name: pd.read_parquet(snakemake.input[name]) for name in ("metrics", "cells", "history")}
results = StudyResults(**tables, labels=snakemake.params.labels, published=snakemake.params.published)
import_module(f"twinbench.figures.{snakemake.wildcards.figure}").draw(results, Path(snakemake.output[0]))

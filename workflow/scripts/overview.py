from pathlib import Path

import pandas as pd

from twinbench import joblog
from twinbench.figures.overview import draw_overview

joblog.start(snakemake.log[0])
draw_overview(pd.read_parquet(snakemake.input.metrics), snakemake.params.studies, Path(snakemake.output[0]))

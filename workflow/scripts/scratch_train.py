import time
from pathlib import Path

from twinbench import joblog
from twinbench.files import read_parquet
from twinbench.machine import prepare
from twinbench.scratch.disc_inputs import disc_examples
from twinbench.scratch.train import train_rounds

joblog.start(snakemake.log[0])
prepare(snakemake.threads)
started, cell = time.perf_counter(), snakemake.params.cell
data = disc_examples(read_parquet(snakemake.input.points), cell["training"]["standardise"])
train_rounds(cell, data, started, **{name: Path(path) for name, path in snakemake.output.items()})

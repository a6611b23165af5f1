import time
from pathlib import Path

from twinbench import joblog
from twinbench.files import read_parquet
from twinbench.machine import prepare
from twinbench.scratch.pair_inputs import pair_examples
from twinbench.scratch.train import train_rounds

joblog.start(snakemake.log[0])
prepare(snakemake.threads)
started = time.perf_counter()
data = pair_examples(Path(snakemake.input.digits), read_parquet(snakemake.input.pairs))
train_rounds(snakemake.params.cell, data, started, **{name: Path(path) for name, path in snakemake.output.items()})

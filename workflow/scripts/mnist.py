from pathlib import Path

from twinbench import joblog
from twinbench.data.mnist import write_digits

joblog.start(snakemake.log[0])
write_digits(snakemake.params.source, Path(snakemake.params.shipped), Path(snakemake.output[0]))

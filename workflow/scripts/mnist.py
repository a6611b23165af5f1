from pathlib import Path

from twinbench import joblog
from twinbench.data.mnist import write_digits
from twinbench.files import whole

joblog.start(snakemake.log[0])
with whole(snakemake.output[0]) as path:
    write_digits(snakemake.params.source, Path(snakemake.params.shipped), path)

from pathlib import Path

from twinbench import joblog
from twinbench.data.mnist import write_digits
from twinbench.files import whole

joblog.start(snakemake.log[0])
folder = Path(snakemake.input[0]).parent if snakemake.input else None  # without files to read, they are downloaded
with whole(snakemake.output[0]) as path:
    write_digits(folder, path)

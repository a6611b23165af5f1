from pathlib import Path

from twinbench import joblog
from twinbench.files import whole
from twinbench.pretrained import write_pretrained

joblog.start(snakemake.log[0])
source = Path(snakemake.input[0]) if snakemake.input else None  # without a file to read, the weights are downloaded
with whole(snakemake.output[0]) as path:
    write_pretrained(source, path)

from pathlib import Path

from twinbench import joblog
from twinbench.data.dataset import datasets
from twinbench.data.images import write_images
from twinbench.files import whole

joblog.start(snakemake.log[0])
dataset = datasets()[snakemake.params.dataset]
folder = Path(snakemake.input[0]).parent if snakemake.input else None  # without files to read, they are downloaded
with whole(snakemake.output[0]) as path:
    write_images(dataset, folder, path)

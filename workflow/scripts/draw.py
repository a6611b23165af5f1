from pathlib import Path

from twinbench import joblog
from twinbench.files import whole
from twinbench.spec.rounds import parse_rounds
from twinbench.tasks import draw

joblog.start(snakemake.log[0])
images = Path(snakemake.input.images) if snakemake.input.images else None
table = draw(rounds=parse_rounds(snakemake.wildcards.rounds), images=images, **snakemake.params.examples)
with whole(snakemake.output[0]) as path:
    table.to_parquet(path, index=False)

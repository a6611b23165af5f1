from pathlib import Path

from twinbench import joblog
from twinbench.training.cell import train_cell

joblog.start(snakemake.log[0])
train_cell(
    snakemake.params.cell,
    study=snakemake.wildcards.study,
    model=snakemake.wildcards.model,
    fold=snakemake.wildcards.fold,
    digits=Path(snakemake.input.digits),
    pairs=Path(snakemake.input.pairs),
    pretrained=Path(snakemake.input.pretrained) if snakemake.input.pretrained else None,
    threads=snakemake.threads,
    gpu=snakemake.resources.gpu > 0,
    code=snakemake.params.code,
    checkpoint=Path(snakemake.params.checkpoint),
    **{name: Path(path) for name, path in snakemake.output.items()},
)

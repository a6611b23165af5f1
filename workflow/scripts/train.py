from pathlib import Path

from twinbench import joblog
from twinbench.spec.rounds import parse_rounds
from twinbench.spec.training import Cell
from twinbench.training.cell import Inputs, Outputs, train_cell

joblog.start(snakemake.log[0])
train_cell(
    Cell(**snakemake.params.cell),
    parse_rounds(snakemake.wildcards.rounds),
    Inputs(
        list(map(Path, snakemake.input.examples)),
        *(Path(snakemake.input[name]) if snakemake.input[name] else None for name in ("images", "pretrained")),
    ),
    Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
    threads=snakemake.threads,
    gpu=snakemake.resources.gpu > 0,
    code=snakemake.params.code,
    checkpoint=Path(snakemake.params.checkpoint),
)

from pathlib import Path

from twinbench import joblog
from twinbench.evaluation.aggregation import study_cells, study_history, study_metrics

joblog.start(snakemake.log[0])
scoring = snakemake.params.scoring
axes = [{name: cell[name] for name in ("study", "model", "fold")} for cell in snakemake.params.cells]
predictions = dict(zip(scoring, map(Path, snakemake.input.predictions), strict=True))
metrics = study_metrics(predictions, scoring, snakemake.wildcards.study)
metrics.to_parquet(snakemake.output.metrics, index=False)
study_cells([Path(path) for path in snakemake.input.records], axes).to_parquet(snakemake.output.cells, index=False)
study_history([Path(path) for path in snakemake.input.histories], axes).to_parquet(
    snakemake.output.history, index=False
)

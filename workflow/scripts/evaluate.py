from twinbench import joblog
from twinbench.evaluation.predictions import predict_study
from twinbench.files import whole
from twinbench.machine import prepare

joblog.start(snakemake.log[0])
prepare(snakemake.threads)
table = predict_study(
    snakemake.params.models,
    snakemake.params.folds,
    records=snakemake.input.records,
    weights=snakemake.input.weights,
    examples=snakemake.input.examples,
    images=snakemake.input.images or None,
)
with whole(snakemake.output[0]) as path:
    table.to_parquet(path, index=False)

import pandas as pd

from twinbench import joblog
from twinbench.evaluation.errors import digit_errors, hardest_pairs, reported_answers
from twinbench.files import read_parquet, read_tensors, whole

joblog.start(snakemake.log[0])
answering, metrics = snakemake.params.answering, read_parquet(snakemake.input.metrics)
answers = reported_answers(read_parquet(snakemake.input.predictions), answering, metrics)
pairs = pd.concat(map(read_parquet, snakemake.input.examples), ignore_index=True)
images = read_tensors(snakemake.input.images, ["test_images"], "numpy")["test_images"]
tables = {"errors": digit_errors(answers, list(answering)), "hardest": hardest_pairs(answers, pairs, images)}
for name, table in tables.items():
    table.insert(0, "study", snakemake.wildcards.study)
    with whole(snakemake.output[name]) as path:
        table.to_parquet(path, index=False)

from twinbench import joblog
from twinbench.data.pairs import draw_pairs
from twinbench.files import read_tensors, whole

joblog.start(snakemake.log[0])
tensors = read_tensors(snakemake.input.digits, ["train_labels", "test_labels"], framework="numpy")
labels = {part: tensors[f"{part}_labels"] for part in ("train", "test")}
first, last = snakemake.params.rounds
table = draw_pairs(labels, **snakemake.params.pairs, rounds=range(first, last + 1))
with whole(snakemake.output[0]) as path:
    table.to_parquet(path, index=False)

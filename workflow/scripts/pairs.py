from twinbench import joblog
from twinbench.data.pairs import draw_pairs, parse_rounds
from twinbench.files import read_tensors, whole

joblog.start(snakemake.log[0])
tensors = read_tensors(snakemake.input.digits, ["train_labels", "test_labels"], framework="numpy")
labels = {part: tensors[f"{part}_labels"] for part in ("train", "test")}
rounds = parse_rounds(snakemake.wildcards.rounds)
table = draw_pairs(labels, **snakemake.params.pairs, study=snakemake.wildcards.study, rounds=rounds)
with whole(snakemake.output[0]) as path:
    table.to_parquet(path, index=False)

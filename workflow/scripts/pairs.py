from safetensors import safe_open

from twinbench import joblog
from twinbench.data.pairs import draw_pairs
from twinbench.planning import parse_rounds

joblog.start(snakemake.log[0])
with safe_open(snakemake.input.digits, framework="numpy") as digits:
    labels = {part: digits.get_tensor(f"{part}_labels") for part in ("train", "test")}
rounds = parse_rounds(snakemake.wildcards.rounds)
table = draw_pairs(labels, **snakemake.params.pairs, study=snakemake.wildcards.study, rounds=rounds)
table.to_parquet(snakemake.output[0], index=False)

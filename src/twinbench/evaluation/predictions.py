"""Predictions on every pair: what all reported numbers are computed from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from twinbench.architectures.catalog import architectures
from twinbench.data.pairs import SPLITS, assign_splits
from twinbench.data.tensors import Split, load_splits
from twinbench.evaluation.columns import TRUTH, complete
from twinbench.files import DataError, read_tensors
from twinbench.training.objectives import posterior
from twinbench.training.replicas import EVALUATION_BATCH
from twinbench.training.tuned import tune


def predict_cell(
    cell: dict, *, fold: str, digits: Path, pairs: pd.DataFrame, weights: Path, record: Path
) -> pd.DataFrame:
    """Return the predictions of one training job's replicas on all their pairs.

    Args:
        cell: architecture and options.
        fold, digits, pairs: as the training job had them.
        weights, record: what the training job wrote.

    Returns:
        A row a pair of every round that did not diverge: the columns of `columns.TRUTH`, fold, and those of
        `columns.complete`.
    """
    stacked = read_tensors(weights)
    ended = json.loads(record.read_text(encoding="utf-8"))["rounds"]
    model = tune(architectures()[cell["architecture"]].build(**cell["options"])).eval()
    tables = []
    data = load_splits(digits, pairs, fold, torch.device("cpu"))
    assigned = assign_splits(pairs, fold)
    for replica, (round_, splits) in enumerate(data.items()):
        if ended[replica]["status"] != "ok":
            continue
        for name, tensor in stacked.items():
            if not tensor[replica].isfinite().all():
                raise DataError(f"{weights}: tensor {name} of round {round_} is not finite, though its training was")
        model.load_state_dict({name: tensor[replica] for name, tensor in stacked.items()})
        for name in SPLITS:
            if name in splits:
                truth = assigned.loc[(assigned["round"] == round_) & (assigned["split"] == name), TRUTH]
                tables.append(truth.assign(fold=fold, **predict(model, splits[name])))
    if not tables:  # every replica diverged: no row, but the same columns
        return assigned.loc[[], TRUTH].assign(fold=fold, **complete({}, 0))
    return pd.concat(tables, ignore_index=True)


@torch.inference_mode()
def predict(model: torch.nn.Module, split: Split) -> dict[str, np.ndarray]:
    """Return the prediction columns of one model on one split, each (N,)."""
    batches = []
    for pairs, _, digits in split.batches(EVALUATION_BATCH):
        heads = model(pairs)
        columns = {}
        if "target" in heads:
            columns["target_logit"] = heads["target"][:, 1] - heads["target"][:, 0]
        if "digits" in heads:
            predicted = heads["digits"].argmax(-1).to(torch.int8)
            nll = -heads["digits"].log_softmax(-1).gather(-1, digits.unsqueeze(-1)).squeeze(-1)
            columns |= {"left_predicted": predicted[:, 0], "right_predicted": predicted[:, 1]}
            columns |= {"left_nll": nll[:, 0], "right_nll": nll[:, 1], "posterior": posterior(heads)}
        batches.append(columns)
    joined = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}
    return complete(joined, len(split.target))

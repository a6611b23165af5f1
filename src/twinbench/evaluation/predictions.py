"""Predictions on every example; all reported numbers are computed from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from twinbench.architectures.catalog import architectures
from twinbench.architectures.twin import call_branches
from twinbench.files import REMEDY, DataError, one_line, read_parquet, read_tensors
from twinbench.seeds import derive_seed
from twinbench.spec.fields import CONSTANT
from twinbench.spec.training import Tested
from twinbench.tasks import task_of
from twinbench.tasks.tables import assign_splits, take_first
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.objectives import EVALUATION_BATCH, answers, posterior
from twinbench.training.record import Record
from twinbench.training.tuned import tune


def predict_study(
    models: dict[str, dict[str, Any]], folds: list[str], *, records: list[str], weights: list[str],
    examples: list[str], images: str | None,
) -> pd.DataFrame:  # fmt: skip
    """Return the predictions of all models of a study and of its constant baseline.

    Args:
        models: what the predictions of each model depend on (`spec.study.Study.predicted`).
        folds: the study's folds.
        records, weights: the files of the training jobs, in any order, since each names its cell.
        examples: tables of all rounds (`tasks.draw`).
        images: pooled images; None for the disc.

    Returns:
        A row per example of every round that did not diverge: model, the task's ``TRUTH``, fold, and the columns of
        `complete`. Models come in the order of ``models``, the baseline last.

    Raises:
        DataError: a file is missing or damaged, or a cell has no weights.
    """
    table = pd.concat(map(read_parquet, examples), ignore_index=True)
    pooled = read_tensors(images) if images else {}
    of_cells = {_cell_of(path): path for path in weights}
    order, predicted = list(models), []
    for record in sorted(map(Record.read, records), key=lambda record: order.index(record.model)):
        key = record.model, tuple((ended.round, ended.fold) for ended in record.trainings)
        if key not in of_cells:
            rounds = sorted({ended.round for ended in record.trainings})
            raise DataError(f"{record.study}: model {record.model}, rounds {rounds[0]} to {rounds[-1]}: no weights")
        of_cell = predict_cell(Tested(**models[record.model]), record, table, pooled, of_cells[key])
        predicted.append(of_cell.assign(model=record.model))
    task = models[order[0]]["inputs"]["task"]
    predicted += [predict_majority(task, table, fold).assign(model=CONSTANT) for fold in folds]
    joined = pd.concat(predicted, ignore_index=True)
    return joined[["model", *joined.columns.drop("model")]]


def _cell_of(weights: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Return the model, and round and fold of every training, that a file of weights names."""
    try:
        with safe_open(weights, "pt") as file:
            names = file.metadata() or {}
            trainings = [training.split("/") for training in names["trainings"].split(",")]
            return names["model"], tuple((int(round_), fold) for round_, fold in trainings)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{weights}: not a whole file of weights ({one_line(error)}); {REMEDY}") from error


def predict_cell(
    model: Tested, record: Record, table: pd.DataFrame, images: dict[str, Tensor], weights: str | Path
) -> pd.DataFrame:
    """Return the predictions of one training job's models on all their examples.

    Args:
        model: inputs, architecture, options and test mode.
        record: the record of the job.
        table: examples of its rounds, and maybe of others.
        images: pooled images by part; empty for the disc.
        weights: the weights that the job wrote.

    Raises:
        DataError: the weights are damaged, or they are not finite although their training was.
    """
    task, stacked = task_of(model.inputs.task), read_tensors(weights)
    net = call_branches(architectures()[model.architecture].build(**model.options), model.branch == "image")
    net = tune(net)
    tables = []
    for number, ended in enumerate(record.trainings):
        if ended.status != "ok":
            continue
        tensors = {name: tensor[number] for name, tensor in stacked.items()}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                where = f"{weights}: tensor {name} of round {ended.round}, fold {ended.fold}"
                raise DataError(f"{where} is not finite, though its training was")
        examples = table[table["round"] == ended.round]
        rows = take_first(assign_splits(examples, ended.fold), task.NUMBER, model.inputs.train_pairs)
        data = load_splits(model.inputs, images, examples, ended.fold, torch.device("cpu"))
        for name, split in data[ended.round].items():
            net.load_state_dict(tensors)  # anew, since training mode changes batch norm's statistics
            if net.train(name in model.tested_in_training_mode).training:  # dropout draws
                axes = task.seed_axes(model.study, ended.fold) | {"round": ended.round, "split": name}
                torch.manual_seed(derive_seed(model.seed, purpose="testing", **axes))
            truth = rows.loc[rows["split"] == name, task.TRUTH]
            tables.append(truth.assign(fold=ended.fold, **predict(net, split)))
    if not tables:  # every training diverged: no row, but the same columns
        return table.loc[[], task.TRUTH].assign(fold=pd.Series(dtype=str), **complete({}, 0))
    return pd.concat(tables, ignore_index=True)


@torch.inference_mode()
def predict(model: nn.Module, split: Split) -> dict[str, np.ndarray]:
    """Return the prediction columns of one model on one split, each (N,)."""
    batches = []
    for inputs, _, digits in split.batches(EVALUATION_BATCH):
        heads = model(inputs)
        columns = answers(heads)
        if "digits" in heads:
            nll = -heads["digits"].log_softmax(-1).gather(-1, digits.unsqueeze(-1)).squeeze(-1)
            columns |= {"left_nll": nll[:, 0], "right_nll": nll[:, 1], "posterior": posterior(heads)}
        batches.append(columns)
    joined = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}
    return complete(joined, len(split.target))


def predict_majority(task: str, table: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return the constant baseline's predictions: the training split's share of yes for every input.

    The sign of the constant logit is the majority class.
    """
    tables = []
    for _, rows in assign_splits(table, fold).groupby("round"):
        targets = rows.loc[rows["split"] == "train", "target"]
        # A tiny split may hold one class only; half an example of the other keeps the logit finite.
        share = targets.mean().clip(0.5 / len(targets), 1 - 0.5 / len(targets))
        logit = np.float32(np.log(share) - np.log1p(-share))
        columns = complete({"target_logit": np.full(len(rows), logit)}, len(rows))
        tables.append(rows[task_of(task).TRUTH].assign(fold=fold, **columns))
    return pd.concat(tables, ignore_index=True)


def complete(columns: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Add the columns of the heads that a model lacks, so that all models have the same.

    Args:
        columns: those that the model has, each (count,): ``target_logit`` (logit of yes, or the one output);
            ``left_predicted``, ``right_predicted`` (digits), ``left_nll``, ``right_nll`` (negative log-likelihood of
            the true digit, nats) and ``posterior`` (probability of left ≤ right that the two digit posteriors imply).
        count: number of examples.

    Returns:
        All six; NaN, or -1 for a digit, where the model has no such head.
    """
    nan, none = np.full(count, np.nan, np.float32), np.full(count, -1, np.int8)
    return {
        "target_logit": nan, "left_predicted": none, "right_predicted": none,
        "left_nll": nan, "right_nll": nan, "posterior": nan,
    } | columns  # fmt: skip

"""Why some published numbers differ from ours, measured on the nets of results/paper: `make evidence`. Markdown.

The sentences under ``evidence`` in config/studies/*.yaml quote it. Test pairs are looked at to explain a difference;
nothing is chosen by them.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_config, load_studies
from twinbench.decisions import decide
from twinbench.files import read_parquet, read_tensors
from twinbench.machine import prepare
from twinbench.spec.study import Study
from twinbench.spec.training import Cell
from twinbench.tasks.tensors import Split, load_splits
from twinbench.training.objectives import answers, loss_parts
from twinbench.training.tuned import tune

RESULTS = Path("results/paper")
WITH_DROPOUT = ("parameter-budget", "transfer")
WITH_UNNAMED_DIGITS = ("dense-vs-conv",)


def replicas(study: Study, model: str) -> Iterator[tuple[nn.Module, dict[str, Split]]]:
    """Yield every round's trained net and its data; without cross-validation."""
    entry, images = study.models[model], read_tensors(Path("results/images/mnist.safetensors"))
    for rounds in study.blocks(model):
        stacked = read_tensors(RESULTS / f"cells/{study.name}/{model}/fold-all/rounds-{rounds}/weights.safetensors")
        pairs = read_parquet(RESULTS / f"examples/{study.name}/rounds-{rounds}.parquet")
        data = load_splits(Cell(**study.cell(model)).inputs, images, pairs, "all", torch.device("cpu"))
        for replica, splits in enumerate(data.values()):
            net = tune(architectures()[entry.architecture].build(**entry.options))
            net.load_state_dict({name: tensor[replica] for name, tensor in stacked.items()})
            yield net, splits


@torch.no_grad()
def score(net: nn.Module, split: Split, decision: str, batch: int) -> Tensor:
    """Return accuracy in % and target loss (NaN without that head) in the mode that the net is in, (2,)."""
    right, loss = 0.0, 0.0
    for pairs, target, digits in split.batches(batch):
        heads = net(pairs)
        right += (decide(answers(heads), decision) == target.bool()).sum().item()
        loss += loss_parts(heads, target, digits).get("target", torch.tensor(torch.nan)).item() * len(target)
    return torch.tensor([100 * right, loss]) / len(split.target)


def in_training_mode(study: Study, model: str) -> str:
    """Return the row of a model: test accuracy and loss as they are, and with the net left in training mode.

    In training mode dropout drops and batch norm takes a batch's own statistics: what happens without `model.eval()`.
    """
    decision, batch = study.models[model].decision, study.models[model].training.batch_size
    rows = []
    for number, (net, splits) in enumerate(replicas(study, model)):
        torch.manual_seed(number)
        rows.append(torch.cat([score(net.train(mode), splits["test"], decision, batch) for mode in (False, True)]))
    return f"| {study.name} | {model} | {_summaries(torch.stack(rows))} |"


def unnamed_digits(study: Study, model: str) -> str:
    """Return the row of a model: three readings of its ten outputs, as errors in %, means over both sides.

    As they stand; after the one-to-one renaming that fits the training digits best; by a logistic regression from the
    outputs to the digits, fitted on the training digits.
    """
    rows = []
    for net, splits in replicas(study, model):
        with torch.no_grad():
            outputs = {name: net.eval()(splits[name].inputs)["digits"].numpy() for name in ("train", "test")}
        errors = []
        for side in (0, 1):
            train, test = outputs["train"][:, side], outputs["test"][:, side]
            train_digits, test_digits = splits["train"].digits[:, side].numpy(), splits["test"].digits[:, side].numpy()
            counts = confusion_matrix(train.argmax(-1), train_digits, labels=range(10))
            names = linear_sum_assignment(counts, maximize=True)[1]
            scaler = StandardScaler().fit(train)
            regression = LogisticRegression(max_iter=1000).fit(scaler.transform(train), train_digits)
            readings = (test.argmax(-1), names[test.argmax(-1)], regression.predict(scaler.transform(test)))
            errors.append([100 * (reading != test_digits).mean() for reading in readings])
        rows.append(torch.tensor(errors).mean(0))
    return f"| {study.name} | {model} | {_summaries(torch.stack(rows))} |"


def _summaries(values: Tensor) -> str:
    """Return mean ± std over the rounds of every column of (R, columns)."""
    return " | ".join(f"{m:.3g} ± {s:.2g}" for m, s in zip(values.mean(0), values.std(0), strict=True))


def main() -> None:
    """Print both tables."""
    prepare(threads=1)
    config = load_config(yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8")) | {"scale": "paper"})
    studies = load_studies(config)
    print("| Study | Model | Test accuracy, % | Test loss | Accuracy in training mode, % | Loss in training mode |")
    print("|" + " --- |" * 6)
    for study in map(studies.get, WITH_DROPOUT):
        for model in study.models:
            print(in_training_mode(study, model), flush=True)
    print("\n| Study | Model | Digit error as it stands, % | Best renaming, % | Logistic regression, % |")
    print("|" + " --- |" * 5)
    for study in map(studies.get, WITH_UNNAMED_DIGITS):
        for model in study.models:
            if "digits" in study.architecture(model).heads:
                print(unnamed_digits(study, model), flush=True)


if __name__ == "__main__":
    main()

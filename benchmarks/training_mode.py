"""What the trained nets of results/paper answer if they are tested in training mode: `make evidence`. Markdown.

In training mode dropout drops and batch norm takes a batch's own statistics: what happens without `model.eval()`. The
published accuracies of nets with dropout can be compared with both columns; config/studies/*.yaml does so under
``evidence``. Means ± standard deviations over the rounds, of test accuracy, test loss and training accuracy.
"""

from pathlib import Path

import torch
import yaml
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_config, load_studies
from twinbench.data.tensors import Split, load_splits
from twinbench.files import read_parquet, read_tensors
from twinbench.machine import prepare
from twinbench.planning import Plan
from twinbench.training.objectives import decide, loss_parts

RESULTS = Path("results/paper")
STUDIES = ("parameter-budget", "transfer")


@torch.no_grad()
def score(model: nn.Module, split: Split, decision: str, batch: int) -> tuple[float, float]:
    """Return accuracy and target loss (NaN without that head) in the mode that the model is in."""
    right, loss = 0.0, 0.0
    for pairs, target, digits in split.batches(batch):
        heads = model(pairs)
        right += (decide(heads, decision) == target.bool()).sum().item()
        loss += loss_parts(heads, target, digits).get("target", torch.tensor(torch.nan)).item() * len(target)
    return right / len(split.target), loss / len(split.target)


def scores(plan: Plan, study: str, model: str, training_mode: bool) -> list[torch.Tensor]:
    """Return test accuracy, test loss and training accuracy of every round, each (3,)."""
    entry, found = plan.studies[study].file.models[model], []
    for cell in plan.cells(study, model):
        stacked = read_tensors(RESULTS / f"cells/{study}/{model}/fold-all/rounds-{cell['rounds']}/weights.safetensors")
        pairs = read_parquet(RESULTS / f"pairs/{study}/rounds-{cell['rounds']}.parquet")
        net = architectures()[entry.architecture].build(**entry.options)
        data = load_splits(Path("results/mnist/digits.safetensors"), pairs, "all", torch.device("cpu"))
        for replica, splits in enumerate(data.values()):
            rates = []
            for split in ("test", "train"):
                net.load_state_dict({name: tensor[replica] for name, tensor in stacked.items()})
                torch.manual_seed(replica)
                net.train(training_mode)
                rates += score(net, splits[split], entry.decision, plan.studies[study].trainings[model].batch_size)
            found.append(torch.tensor(rates[:3]))
    return found


def main() -> None:
    """Print a row a model and mode."""
    prepare(threads=1)
    config = load_config(yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8")) | {"scale": "paper"})
    plan = Plan(config, load_studies(config))
    print("| Study | Model | Mode | Test accuracy, % | Test loss | Training accuracy, % |\n|" + " --- |" * 6)
    for study in STUDIES:
        for model in plan.models(study):
            for mode in ("evaluation", "training"):
                values = torch.stack(scores(plan, study, model, mode == "training")) * torch.tensor([100, 1, 100])
                cells = [f"{m:.3g} ± {s:.2g}" for m, s in zip(values.mean(0), values.std(0), strict=True)]
                print(f"| {study} | {model} | {mode} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

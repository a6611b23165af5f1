"""The plain PyTorch loop that ours is compared with: without tricks and without waste.

It has torch.nn's own layers in the default layout, and torch.optim as it comes. Its batches are slices of the training
pairs, as in the authors' programs, or come from a DataLoader over a TensorDataset, as a textbook has it.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.tasks import Task
from twinbench.architectures.scratch_dense import ScratchModel
from twinbench.decisions import decide
from twinbench.scratch.modules import Linear, ReLU, Sequential, Tanh
from twinbench.spec.training import Optimizer
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import answers
from twinbench.training.replicas import set_trained_parts

Batch = tuple[Tensor, Tensor, Tensor]  # pairs (B, 2, 14, 14) or points (B, 2), targets (B,), digits (B, 2)
EVALUATION_BATCH = 250  # pairs: whole splits of 1,000 in few batches
ACTIVATIONS = {ReLU: nn.ReLU, Tanh: nn.Tanh}


class PlainScratch(nn.Module):
    """A model of our own framework in torch.nn, with the same weights."""

    def __init__(self, net: Sequential):
        super().__init__()
        self.layers = nn.Sequential()
        for module in net.modules:
            if isinstance(module, Linear):
                layer = nn.Linear(module.inputs, module.outputs)
                layer.weight.data, layer.bias.data = module.weight.value.T.contiguous(), module.bias.value.clone()
            else:
                layer = ACTIVATIONS[type(module)]()
            self.layers.append(layer)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Take examples (B, …), return the target head (B, 1)."""
        return {"target": self.layers(inputs.flatten(1))}


def torch_optimizer(parameters: Iterable[Tensor], settings: Optimizer) -> torch.optim.Optimizer:
    """Return torch.optim's own."""
    if settings.name == "adam":
        return torch.optim.Adam(parameters, settings.lr)
    return torch.optim.SGD(parameters, settings.lr, settings.momentum)


class PlainLoop:
    """One round's training of a task on its splits; ``loader``: batches from a DataLoader."""

    def __init__(self, task: Task, splits: dict[str, Split], loader: bool):
        model, self.task, self.splits, self.loader = task.build(), task, splits, loader
        self.model = PlainScratch(model.net) if isinstance(model, ScratchModel) else model
        self.optimizer = torch_optimizer(self.model.parameters(), task.cell.training.optimizer)

    def batches(self, split: Split, size: int, shuffle: bool = False) -> Iterator[Batch]:
        """Yield batches of so many examples."""
        if self.loader:
            yield from DataLoader(TensorDataset(split.inputs, split.target, split.digits), size, shuffle)
        else:
            yield from (split.take(torch.randperm(len(split.target))) if shuffle else split).batches(size)

    def loss(self, heads: dict[str, Tensor], target: Tensor, digits: Tensor, weights: dict[str, float]) -> Tensor:
        """Return the losses of the heads, weighted and added."""
        loss = torch.zeros(())
        if weights["target"] and heads["target"].shape[1] == 1:
            loss = loss + weights["target"] * functional.mse_loss(heads["target"][:, 0], 2.0 * target - 1)
        elif weights["target"]:
            loss = loss + weights["target"] * functional.cross_entropy(heads["target"], target)
        if weights["digits"]:
            left, right = (functional.cross_entropy(heads["digits"][:, side], digits[:, side]) for side in (0, 1))
            loss = loss + weights["digits"] * (left + right)
        return loss

    def train_epoch(self, epoch: int) -> None:
        """Train for one epoch, counted from 1."""
        training = self.task.cell.training
        stage = self.task.cell.objective.stage(epoch, training.epochs)
        set_trained_parts(self.model, stage.parts)
        if stage.new_optimizer:
            self.optimizer = torch_optimizer(self.model.parameters(), training.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = training.optimizer.lr * training.optimizer.decay ** (epoch - 1)
        for inputs, target, digits in self.batches(self.splits["train"], training.batch_size, training.shuffle):
            self.optimizer.zero_grad()
            self.loss(self.model(inputs), target, digits, stage.weights).backward()
            self.optimizer.step()

    def evaluate(self, epoch: int) -> dict[str, tuple[float, float]]:
        """Return loss and accuracy of every split that the task evaluates."""
        weights = self.task.cell.objective.stage(epoch, self.task.cell.training.epochs).weights
        return {split: self.score(self.splits[split], weights) for split in self.task.evaluated}

    @torch.no_grad()
    def score(self, split: Split, weights: dict[str, float]) -> tuple[float, float]:
        """Return loss and accuracy of a split."""
        self.model.eval()
        loss, right = 0.0, 0
        for inputs, target, digits in self.batches(split, EVALUATION_BATCH):
            heads = self.model(inputs)
            loss += self.loss(heads, target, digits, weights).item() * len(target)
            right += (decide(answers(heads), self.task.cell.decision) == target).sum().item()
        return loss / len(split.target), right / len(split.target)

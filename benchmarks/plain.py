"""The plain PyTorch loop that the benchmark compares with: what a textbook writes, without tricks and without waste.

A DataLoader over a TensorDataset, torch.nn's own layers in the default layout, a branch called once an image,
torch.optim as it comes, and like ours an evaluation of all splits in batches after every epoch.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from twinbench.architectures.twin import Twin
from twinbench.decisions import decide
from twinbench.spec.training import Cell
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import answers
from twinbench.training.replicas import set_trained_parts

Batch = tuple[Tensor, Tensor, Tensor]  # pairs (B, 2, 14, 14), targets (B,), digits (B, 2)
EVALUATION_BATCH = 250  # pairs: whole splits of 1,000 in few batches


class PlainTwin(nn.Module):
    """Call the branch for the left images, then for the right ones: batch norm sees each side alone."""

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.left, self.right = branches[0], branches[-1]

    def forward(self, pairs: Tensor) -> Tensor:
        """Take pairs (B, 2, 14, 14), return features (B, 2, F)."""
        return torch.stack([self.left(pairs[:, :1]), self.right(pairs[:, 1:])], dim=1)


def called_twice(module: nn.Module) -> nn.Module:
    """Return a model that calls its branch once per image; weights stay as they are."""
    if isinstance(module, Twin):
        return PlainTwin(module.branches)
    for name, child in module.named_children():
        setattr(module, name, called_twice(child))
    return module


class PlainLoop:
    """The textbook's training of one round.

    Args:
        model: the architecture as the package builds it; a twin in it is replaced (`called_twice`).
        splits: pairs by the split's name, ``train`` among them.
        cell: what the configuration says of the model (`spec.study.Study.cell`).
    """

    def __init__(self, model: nn.Module, splits: dict[str, Split], cell: Cell):
        self.model, self.decision, self.objective = called_twice(model), cell.decision, cell.objective
        self.epochs, self.settings = cell.training.epochs, cell.training.optimizer
        if self.settings.name == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), self.settings.lr)
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), self.settings.lr, self.settings.momentum)
        sets = {name: TensorDataset(split.inputs, split.target, split.digits) for name, split in splits.items()}
        self.batches = DataLoader(sets["train"], cell.training.batch_size, shuffle=True)
        self.splits = {name: DataLoader(of_split, EVALUATION_BATCH) for name, of_split in sets.items()}

    def loss(self, heads: dict[str, Tensor], target: Tensor, digits: Tensor, weights: dict[str, float]) -> Tensor:
        """Return the losses of the heads, weighted and added."""
        loss = torch.zeros(())
        if weights["target"]:
            loss = loss + weights["target"] * functional.cross_entropy(heads["target"], target)
        if weights["digits"]:
            left, right = (functional.cross_entropy(heads["digits"][:, side], digits[:, side]) for side in (0, 1))
            loss = loss + weights["digits"] * (left + right)
        return loss

    def train_epoch(self, epoch: int) -> None:
        """Train for one epoch, counted from 1."""
        stage = self.objective.stage(epoch, self.epochs)
        set_trained_parts(self.model, stage.parts)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * self.settings.decay ** (epoch - 1)
        for pairs, target, digits in self.batches:
            self.optimizer.zero_grad()
            self.loss(self.model(pairs), target, digits, stage.weights).backward()
            self.optimizer.step()

    def evaluate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return loss and accuracy of every split."""
        self.model.eval()
        weights = self.objective.stage(epoch, self.epochs).weights
        with torch.no_grad():
            return {name: self._score(batches, weights) for name, batches in self.splits.items()}

    def _score(self, batches: Iterable[Batch], weights: dict[str, float]) -> dict[str, float]:
        loss, right, count = 0.0, 0, 0
        for pairs, target, digits in batches:
            heads = self.model(pairs)
            loss += self.loss(heads, target, digits, weights).item() * len(target)
            right += (decide(answers(heads), self.decision) == target).sum().item()
            count += len(target)
        return {"loss": loss / count, "accuracy": right / count}

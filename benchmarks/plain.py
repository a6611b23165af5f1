"""The plain PyTorch loops that ours is compared with: without tricks and without waste.

Both have torch.nn's own layers in the default layout, and torch.optim as it comes. The authors' protocol
(``branch="image"``) calls a branch once per image, and takes slices of shuffled tensors as its batches. The textbook's
(``branch="pair"``) has both images in one batch, and a DataLoader over a TensorDataset.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from twinbench.architectures.scratch_dense import ScratchModel
from twinbench.architectures.twin import Twin
from twinbench.decisions import decide
from twinbench.scratch.modules import Linear, ReLU, Sequential, Tanh
from twinbench.spec.training import Cell, Optimizer
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import answers
from twinbench.training.replicas import set_trained_parts

Batch = tuple[Tensor, Tensor, Tensor]  # pairs (B, 2, 14, 14) or points (B, 2), targets (B,), digits (B, 2)
EVALUATION_BATCH = 250  # pairs: whole splits of 1,000 in few batches
ACTIVATIONS = {ReLU: nn.ReLU, Tanh: nn.Tanh}


class PlainTwin(nn.Module):
    """Call the branch for the left images, then for the right ones: batch norm sees each side alone."""

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.left, self.right = branches[0], branches[-1]

    def forward(self, pairs: Tensor) -> Tensor:
        """Take pairs (B, 2, 14, 14), return features (B, 2, F)."""
        return torch.stack([self.left(pairs[:, :1]), self.right(pairs[:, 1:])], dim=1)


def called(model: nn.Module, branch: str) -> nn.Module:
    """Return a model that calls a shared branch once per ``image``, or ``pair``; weights stay as they are."""
    if branch == "pair":
        return model
    if isinstance(model, Twin):
        return PlainTwin(model.branches)
    for name, child in model.named_children():
        setattr(model, name, called(child, branch))
    return model


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
    """One round's training.

    Args:
        model: the architecture as the package builds it.
        splits: examples by the split's name, ``train`` among them.
        cell: what the configuration says of the model (`spec.study.Study.cell`).
        branch: ``image`` or ``pair``, see above.
    """

    def __init__(self, model: nn.Module, splits: dict[str, Split], cell: Cell, branch: str):
        self.model = PlainScratch(model.net) if isinstance(model, ScratchModel) else called(model, branch)
        self.splits, self.cell, self.loader = splits, cell, branch == "pair"
        self.optimizer = torch_optimizer(self.model.parameters(), cell.training.optimizer)

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
        training = self.cell.training
        stage = self.cell.objective.stage(epoch, training.epochs)
        set_trained_parts(self.model, stage.parts)
        for group in self.optimizer.param_groups:
            group["lr"] = training.optimizer.lr * training.optimizer.decay ** (epoch - 1)
        for inputs, target, digits in self.batches(self.splits["train"], training.batch_size, shuffle=True):
            self.optimizer.zero_grad()
            self.loss(self.model(inputs), target, digits, stage.weights).backward()
            self.optimizer.step()

    @torch.no_grad()
    def evaluate(self, split: str, epoch: int) -> dict[str, float]:
        """Return loss and accuracy of a split."""
        self.model.eval()
        weights = self.cell.objective.stage(epoch, self.cell.training.epochs).weights
        loss, right, count = 0.0, 0, 0
        for inputs, target, digits in self.batches(self.splits[split], EVALUATION_BATCH):
            heads = self.model(inputs)
            loss += self.loss(heads, target, digits, weights).item() * len(target)
            right += (decide(answers(heads), self.cell.decision) == target).sum().item()
            count += len(target)
        return {"loss": loss / count, "accuracy": right / count}

"""Parts of several families. `Twin` is the layer that weight sharing is about: one branch for both images, or two."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from twinbench.architectures.registry import Heads


def dense_layers(*widths: int, dropout: float = 0.0) -> list[nn.Module]:
    """Return dense layers from the first width to the last, with ReLU and, at a rate above 0, dropout between them."""
    modules: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        modules += [nn.Linear(inputs, outputs), nn.ReLU(), *[nn.Dropout(dropout)] * bool(dropout)]
    return modules[: -2 if dropout else -1]


class PairNet(nn.Module):
    """A model whose ``layers`` see both images of a pair together, and give target logits (B, 2)."""

    def forward(self, pairs: Tensor) -> Heads:
        return {"target": self.layers(pairs)}


class Twin(nn.Module):
    """Apply a branch to the two images of each pair.

    Args:
        branch: makes a module from images (n, 1, 14, 14) to features (n, F); called once when shared, else twice.
        shared: whether both images go through the same weights.
    """

    # Whether both images go through a shared branch as one batch of 2B, so that a batch norm in the branch normalises
    # over both sides together; otherwise the branch is called for the left images, then for the right ones.
    joint = True

    def __init__(self, branch: Callable[[], nn.Module], shared: bool):
        super().__init__()
        self.branches = nn.ModuleList(branch() for _ in range(1 if shared else 2))

    def forward(self, pairs: Tensor) -> Tensor:
        """Take pairs (B, 2, 14, 14), return features (B, 2, F)."""
        if len(self.branches) == 1 and self.joint:
            (branch,) = self.branches
            return branch(pairs.flatten(0, 1).unsqueeze(1)).unflatten(0, (-1, 2))
        first, last = self.branches[0], self.branches[-1]
        return torch.stack([first(pairs[:, 0, None]), last(pairs[:, 1, None])], dim=1)


def call_branches(model: nn.Module, per_image: bool) -> nn.Module:
    """Make a model call its shared branches once per image, or once for both images of a pair; return the model."""
    for module in model.modules():
        if isinstance(module, Twin):
            module.joint = not per_image
    return model

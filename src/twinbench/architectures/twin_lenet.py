"""Report 5 (Zadoks, 2021): a LeNet-5 style branch per image, and a small comparison head on their joined logits."""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from twinbench.architectures.registry import Heads, register
from twinbench.architectures.twin import Twin

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def branch(activation: type[nn.Module], dropout: float) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 9,322 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),  # 12×12
        activation(),
        nn.AvgPool2d(2),  # 6×6
        nn.Conv2d(16, 32, 3),  # 4×4
        activation(),
        nn.AvgPool2d(2),  # 2×2
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.BatchNorm1d(32),
        activation(),
        nn.Dropout(dropout),
        nn.Linear(32, 10),
    )


@register("twin-lenet", heads=("target", "digits"), parameters=9_574)
class TwinLeNet(nn.Module):
    """LeNet branches with shared or separate weights; the comparison sees only the 2×10 digit logits.

    ``dropout`` is the rate of both dropouts, that of a branch and that of the comparison.
    """

    def __init__(self, shared: bool = True, activation: Literal["relu", "tanh"] = "relu", dropout: float = 0.25):
        super().__init__()
        self.branch = Twin(partial(branch, ACTIVATIONS[activation], dropout), shared)
        self.comparison = nn.Sequential(
            ACTIVATIONS[activation](),
            nn.Linear(20, 10),
            nn.BatchNorm1d(10),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(10, 2),
        )

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}

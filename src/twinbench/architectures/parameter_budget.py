"""Report 2 (Baldwin, Carrizo, Stocker): small convolutional branches under 70,000 parameters, trained with SGD."""

from torch import Tensor, nn

from twinbench.architectures.registry import Heads, register
from twinbench.architectures.twin import Twin, dense_layers


def make_branch(norm: nn.BatchNorm2d, deep: bool) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10).

    Args:
        norm: the batch norm behind both convolutions, one module for the two. Separate branches share it as well: only
            this reading of the report gives its parameter counts.
        deep: three dense layers instead of two.
    """
    dense = dense_layers(1600, 40, 20) if deep else dense_layers(1600, 20)  # drawn before the convolutions
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),  # 14×14
        nn.ReLU(),
        norm,
        nn.Dropout2d(0.5),
        nn.MaxPool2d(2),  # 7×7
        nn.Conv2d(16, 16, 2, padding=2),  # 10×10
        nn.ReLU(),
        norm,
        nn.Dropout2d(0.5),
        nn.Flatten(),
        *dense,
        nn.ReLU(),
        nn.Linear(20, 10),
    )


@register("parameter-budget", heads=("target", "digits"), parameters=33_504)
class ParameterBudget(nn.Module):
    """Models 1 to 5: shared or separate branches; one linear layer compares their 2×10 logits."""

    def __init__(self, shared: bool = True, deep: bool = False):
        super().__init__()
        norm = nn.BatchNorm2d(16)
        self.branch = Twin(lambda: make_branch(norm, deep), shared)
        self.comparison = nn.Linear(20, 2)

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}

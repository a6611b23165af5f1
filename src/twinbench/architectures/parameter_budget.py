"""Report 2 (Baldwin, Carrizo, Stocker): small convolutional branches under 70,000 parameters, trained with SGD.

Orders, paddings and dropouts, which the report leaves open: authors' code, GitHub analucarrizo/DeepLearningProj1,
models.py.
"""

from functools import partial

from torch import Tensor, nn

from twinbench.architectures.registry import Heads, register
from twinbench.architectures.twin import Twin


def dense(deep: bool) -> list[nn.Module]:
    """From 1,600 features to digit logits. The deep one has one more layer, and no activation behind its second."""
    first = [nn.Linear(1600, 40), nn.ReLU(), nn.Linear(40, 20)] if deep else [nn.Linear(1600, 20), nn.ReLU()]
    return [nn.Dropout(0.5), *first, nn.Dropout(0.5), nn.Linear(20, 10)]


def branch(norm: nn.BatchNorm2d, deep: bool) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 33,430 parameters, 66,270 if deep, without those of ``norm``.

    Args:
        norm: the batch norm behind both convolutions, one module for the two. Separate branches share it as well: only
            so do the report's parameter counts come out.
        deep: three dense layers instead of two.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),  # 14×14
        nn.Dropout2d(0.5),
        norm,
        nn.ReLU(),
        nn.MaxPool2d(2, padding=1),  # 8×8
        nn.Conv2d(16, 16, 2, padding=1),  # 9×9
        nn.Dropout2d(0.5),
        norm,
        nn.ReLU(),
        nn.MaxPool2d(2, stride=1, padding=1),  # 10×10
        nn.Flatten(),
        *dense(deep),
    )


@register("parameter-budget", heads=("target", "digits"), parameters=33_504)
class ParameterBudget(nn.Module):
    """Models 1 to 5: shared or separate branches; behind a ReLU, one linear layer compares their 2×10 logits."""

    def __init__(self, shared: bool = True, deep: bool = False):
        super().__init__()
        self.branch = Twin(partial(branch, nn.BatchNorm2d(16), deep), shared)
        self.comparison = nn.Sequential(nn.ReLU(), nn.Linear(20, 2))

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}

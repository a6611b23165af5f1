"""Report 4 (Azzano, Erbacher, Piquet): a dense and a convolutional branch under the same comparison head."""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import Twin


def dense_layers(inputs: int, width: int, layers: int) -> list[nn.Module]:
    """From ``inputs`` features to 10 digit logits: ``width`` units, and ReLU, after every layer but the last."""
    modules = []
    for before, after in pairwise([inputs, *[width] * (layers - 1), 10]):
        modules += [nn.Linear(before, after), nn.ReLU()]
    return modules[:-1]


def dense_branch(width: int, layers: int) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 12,910 parameters with 50 units and 3 layers."""
    return nn.Sequential(nn.Flatten(), *dense_layers(IMAGE * IMAGE, width, layers))


def conv_branch(channels: int, width: int, layers: int) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 213,552 parameters with 64 channels, 50 units, 2 layers."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, padding=2),  # 14×14
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 4×4
        nn.Conv2d(channels, 2 * channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 1×1
        nn.Flatten(),
        *dense_layers(2 * channels, width, layers),
    )


def comparison() -> nn.Sequential:
    """From both sides' digit logits (B, 20) to target logits (B, 2); 44,802 parameters."""
    return nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2))


@register("dense-twin", heads=("target", "digits"), parameters=57_712)
class DenseTwin(nn.Module):
    """Dense branches with shared or separate weights; the last of a branch's ``layers`` has 10 units."""

    def __init__(self, shared: bool = True, width: int = 50, layers: int = 3):
        super().__init__()
        self.branch = Twin(partial(dense_branch, width, layers), shared)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}


@register("conv-twin", heads=("target", "digits"), parameters=258_354)
class ConvTwin(nn.Module):
    """Convolutional branches with shared or separate weights.

    The second convolution has twice the ``channels`` of the first; ``layers`` dense ones follow, the last of 10 units.
    """

    def __init__(self, shared: bool = True, channels: int = 64, width: int = 50, layers: int = 2):
        super().__init__()
        self.branch = Twin(partial(conv_branch, channels, width, layers), shared)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}

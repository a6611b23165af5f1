"""Report 4 (Azzano, Erbacher, Piquet): a dense and a convolutional branch under the same comparison head."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import Twin, dense_layers


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
        *dense_layers(2 * channels, *[width] * (layers - 1), 10),
    )


class Compared(nn.Module):
    """Branches give digit logits; a dense comparison with 44,802 parameters takes both sides' logits (B, 20)."""

    def __init__(self, branch: Callable[[], nn.Module], shared: bool):
        super().__init__()
        self.branch = Twin(branch, shared)
        self.comparison = nn.Sequential(*dense_layers(20, 200, 200, 2))

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}


@register("dense-twin", heads=("target", "digits"), parameters=57_712)
class DenseTwin(Compared):
    """Dense branches, of 12,910 parameters, with shared or separate weights; the last of ``layers`` has 10 units."""

    def __init__(self, shared: bool = True, width: int = 50, layers: int = 3):
        widths = [IMAGE * IMAGE, *[width] * (layers - 1), 10]
        super().__init__(lambda: nn.Sequential(nn.Flatten(), *dense_layers(*widths)), shared)


@register("conv-twin", heads=("target", "digits"), parameters=258_354)
class ConvTwin(Compared):
    """Convolutional branches with shared or separate weights.

    The second convolution has twice the ``channels`` of the first; ``layers`` dense ones follow, the last of 10 units.
    """

    def __init__(self, shared: bool = True, channels: int = 64, width: int = 50, layers: int = 2):
        super().__init__(partial(conv_branch, channels, width, layers), shared)

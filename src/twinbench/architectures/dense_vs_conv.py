"""Report 4 (Azzano, Erbacher, Piquet): a dense and a convolutional branch under the same comparison head.

What the report leaves open: authors' code, GitHub Apiquet/Deep_learning_digit_recognition_and_comparison.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import Twin, dense_layers


def dense_widths(width: int, layers: int) -> list[int]:
    """Return the widths of a dense branch, from its input to its 10 outputs, with ``layers`` layers between them."""
    return [IMAGE * IMAGE, *[width] * (layers - 1), 10]


def width_within(parameters: int, layers: int) -> int:
    """Return the largest width, at least 1, with which a dense branch of so many layers has at most ``parameters``."""

    def count(width: int) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(dense_widths(width, layers)))

    return max((width for width in range(1, parameters // IMAGE**2 + 1) if count(width) <= parameters), default=1)


def conv_branch(channels: int, kernel: int, width: int, layers: int, active: bool) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 213,552 parameters with 64 channels, 5×5, 50 units, 2 layers.

    ``active``: whether ReLU follows every dense layer but the last.
    """
    dense = dense_layers(2 * channels, *[width] * (layers - 1), 10)
    return nn.Sequential(
        nn.Conv2d(1, channels, kernel, padding=kernel // 2),  # 14×14
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 4×4
        nn.Conv2d(channels, 2 * channels, kernel, padding=kernel // 2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 1×1
        nn.Flatten(),
        *(dense if active else dense[::2]),
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
    """Dense branches, of 12,910 parameters, with shared or separate weights; the last of ``layers`` has 10 units.

    Args:
        shared: whether both images go through the same weights.
        width: of the hidden layers.
        layers: dense layers of a branch.
        dropout: its rate, behind each hidden layer of a branch.
        branch_parameters: if given, the width is the largest with which a branch has at most so many; deep and wide
            branches of equal size can then be compared.
    """

    def __init__(
        self, shared: bool = True, width: int = 50, layers: int = 3, dropout: float = 0.0, branch_parameters: int = 0
    ):
        widths = dense_widths(width_within(branch_parameters, layers) if branch_parameters else width, layers)
        super().__init__(lambda: nn.Sequential(nn.Flatten(), *dense_layers(*widths, dropout=dropout)), shared)


@register("conv-twin", heads=("target", "digits"), parameters=258_354)
class ConvTwin(Compared):
    """Convolutional branches with shared or separate weights.

    Args:
        shared: whether both images go through the same weights.
        channels: of the first convolution; the second has twice as many.
        kernel: height and width of both convolutions, padded so that maps keep their size.
        width: of the hidden dense layers.
        layers: dense layers of a branch, the last of 10 units.
        activation_between: which branches have ReLU between their dense layers: ``none``, as in the authors' code;
            ``second``, the second of two separate branches alone, as in the authors' unshared model; or ``both``.
    """

    def __init__(
        self, shared: bool = True, channels: int = 64, kernel: Literal[1, 3, 5, 7] = 5, width: int = 50,
        layers: int = 2, activation_between: Literal["none", "second", "both"] = "none",
    ):  # fmt: skip
        active = (activation_between == "both", activation_between != "none")
        branches = (conv_branch(channels, kernel, width, layers, of_side) for of_side in active)
        super().__init__(partial(next, branches), shared)


def conv_only_branch(channels: int) -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3),  # 12×12
        nn.MaxPool2d(3, stride=3),  # 4×4
        nn.Conv2d(channels, 10, 4),  # 1×1
        nn.Flatten(),
    )


@register("conv-only", heads=("digits",), parameters=17_010)
class ConvOnly(nn.Module):
    """One shared branch of two convolutions names each digit; the decision compares the two digits.

    The authors' Convolution_Only, which the report does not describe.
    """

    def __init__(self, channels: int = 100):
        super().__init__()
        self.branch = Twin(partial(conv_only_branch, channels), shared=True)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.branch(pairs)}

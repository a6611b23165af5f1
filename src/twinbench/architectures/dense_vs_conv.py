"""Report 4 (Azzano, Erbacher, Piquet): a dense and a convolutional branch under the same comparison head."""

from torch import Tensor, nn

from twinbench.architectures.layers import InputConv2d
from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import Twin


def dense_branch() -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 12,910 parameters."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(IMAGE * IMAGE, 50),
        nn.ReLU(),
        nn.Linear(50, 50),
        nn.ReLU(),
        nn.Linear(50, 10),
    )


def conv_branch() -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10); 213,552 parameters."""
    return nn.Sequential(
        InputConv2d(1, 64, 5, padding=2),  # 14×14
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 4×4
        nn.Conv2d(64, 128, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=3),  # 1×1
        nn.Flatten(),
        nn.Linear(128, 50),
        nn.ReLU(),
        nn.Linear(50, 10),
    )


def comparison() -> nn.Sequential:
    """From both sides' digit logits (B, 20) to target logits (B, 2); 44,802 parameters."""
    return nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2))


@register("dense-twin", heads=("target", "digits"), parameters=57_712)
class DenseTwin(nn.Module):
    """Dense branches with shared or separate weights."""

    def __init__(self, shared: bool = True):
        super().__init__()
        self.branch = Twin(dense_branch, shared)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}


@register("conv-twin", heads=("target", "digits"), parameters=258_354)
class ConvTwin(nn.Module):
    """Convolutional branches with shared or separate weights."""

    def __init__(self, shared: bool = True):
        super().__init__()
        self.branch = Twin(conv_branch, shared)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        digits = self.branch(pairs)
        return {"target": self.comparison(digits.flatten(1)), "digits": digits}

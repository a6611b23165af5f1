"""Report 1 (Celik, Oliva i Jürgens, Mainusch): a dense, a convolutional and two siamese models with SELU, a linear one.

Orders of layers, and what the report leaves open: authors' code, GitHub Nina-Mainusch/DeepLearning1, networks.py.
"""

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import PairNet, Twin


def convolution(channels: int, outputs: int, kernel: int) -> list[nn.Module]:
    """From maps (n, channels, H, W), padded by 2, to maps (n, outputs, …) of half the height and width."""
    return [nn.Conv2d(channels, outputs, kernel, padding=2), nn.SELU(), nn.MaxPool2d(2)]


@register("mlp-selu", heads=("target",), parameters=27_490)
class MLP(PairNet):
    """Dense layers take both images flattened: the baseline that knows nothing about images."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * IMAGE * IMAGE, 64),
            nn.SELU(),
            nn.BatchNorm1d(64),
            nn.Linear(64, 32),
            nn.SELU(),
            nn.BatchNorm1d(32),
            nn.Linear(32, 2),
        )


@register("convnet-selu", heads=("target",), parameters=57_854)
class ConvNet(PairNet):
    """Three convolutions and two dense layers take the pair as one image of two channels.

    Args:
        batch_norm: whether it follows the first two convolutions; it has 96 parameters.
        dropout: its rate, before the first dense layer. The report's first version had dropout instead of batch norm.
    """

    def __init__(self, batch_norm: bool = True, dropout: float = 0.0):
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.layers = nn.Sequential(
            *convolution(2, 16, 4),  # 15×15, then 7×7
            norm(16),
            *convolution(16, 32, 5),  # 7×7, then 3×3
            norm(32),
            *convolution(32, 64, 3),  # 5×5, then 2×2
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(256, 100),  # as in the authors' code, no activation follows
            nn.Linear(100, 2),
        )


def siamese_branch() -> nn.Sequential:
    """From images (n, 1, 14, 14) to ten features (n, 10), which are digit logits if the digit losses train them."""
    return nn.Sequential(
        *convolution(1, 8, 3),  # 16×16, then 8×8
        nn.BatchNorm2d(8),
        *convolution(8, 16, 5),  # 8×8, then 4×4
        nn.BatchNorm2d(16),
        nn.Flatten(),
        nn.Linear(256, 100),  # as in the authors' code, no activation follows
        nn.Linear(100, 10),
    )


def linear_branch() -> nn.Sequential:
    """From images (n, 1, 14, 14) to digit logits (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=2),  # 16×16
        nn.Conv2d(8, 16, 5, padding=2),  # 16×16
        nn.Flatten(),
        nn.Linear(4096, 10),
    )


@register("siamese-classes-selu", heads=("digits",), parameters=30_054)
class ConvSiameseNetClasses(nn.Module):
    """One shared branch names each digit; the decision compares the two digits."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(siamese_branch, shared=True)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.branch(pairs)}


@register("siamese-targets-selu", heads=("target",), parameters=30_096)
class ConvSiameseNetTargets(nn.Module):
    """A linear layer compares the 2×10 features of the same shared branch; only the target loss trains the model."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(siamese_branch, shared=True)
        self.comparison = nn.Linear(20, 2)

    def forward(self, pairs: Tensor) -> Heads:
        return {"target": self.comparison(self.branch(pairs).flatten(1))}


@register("siamese-linear", heads=("digits",), parameters=44_266)
class LinearSiameseNet(nn.Module):
    """One shared linear map names each digit: two convolutions and a dense layer, without any activation.

    This is what the authors' MNISTResSiameseNet computes: it is built as a ResNet-18, whose body its forward bypasses.
    """

    def __init__(self):
        super().__init__()
        self.branch = Twin(linear_branch, shared=True)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.branch(pairs)}

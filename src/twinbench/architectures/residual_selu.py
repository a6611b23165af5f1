"""Report 1 (Celik, Oliva i Jürgens, Mainusch): residual models with SELU, plain and siamese, and a transposed one.

Orders of layers, and what the report leaves open: authors' code, GitHub Nina-Mainusch/DeepLearning1, networks.py.
"""

from torch import Tensor, nn

from twinbench.architectures.registry import Heads, register
from twinbench.architectures.twin import PairNet, Twin

CHANNELS, BLOCKS = 15, 10


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a skip connection, on maps (n, 15, 14, 14); 4,140 parameters."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.SELU(),
            nn.BatchNorm2d(CHANNELS),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        )
        self.outer = nn.Sequential(nn.SELU(), nn.BatchNorm2d(CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x) + x)


def residual_body(channels: int, outputs: int) -> nn.Sequential:
    """From images (n, channels, 14, 14) to ``outputs`` logits."""
    return nn.Sequential(
        nn.Conv2d(channels, CHANNELS, 1),
        nn.SELU(),
        *(ResidualBlock() for _ in range(BLOCKS)),
        nn.AvgPool2d(8),  # 1×1: the mean of the upper left 8×8; after 20 convolutions it depends on all of 14×14
        nn.SELU(),
        nn.Flatten(),
        nn.Linear(CHANNELS, outputs),
    )


@register("conv-resnet-selu", heads=("target",), parameters=41_477)
class ConvResNet(PairNet):
    """Ten residual blocks take the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.layers = residual_body(2, 2)


@register("siamese-resnet-selu", heads=("digits",), parameters=41_590)
class ConvSiameseResNet(nn.Module):
    """One shared body names the digit of each image; the decision compares the two digits."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(lambda: residual_body(1, 10), shared=True)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.branch(pairs)}


@register("conv-transpose-selu", heads=("target",), parameters=13_938)
class ConvTransposeNet(PairNet):
    """Two transposed convolutions take the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(2, 16, 4, padding=2),  # 13×13
            nn.SELU(),
            nn.MaxPool2d(2),  # 6×6
            nn.ConvTranspose2d(16, 32, 5, padding=2),  # 6×6
            nn.SELU(),
            nn.MaxPool2d(2),  # 3×3
            nn.Flatten(),
            nn.Dropout(0.5),  # the report gives no rate; this is that of the authors' code
            nn.Linear(288, 2),
        )

"""Report 3: from dense layers to a LeNet-5 style branch that learns the digits first and then the comparison."""

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import PairNet, Twin, dense_layers

DROPOUT = 0.3


def branch(channels: int = 1) -> nn.Sequential:
    """From images (n, channels, 14, 14) to features (n, 84); 59,820 parameters with one channel."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),  # 12×12
        nn.MaxPool2d(2),  # 6×6
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Conv2d(32, 64, 3),  # 4×4
        nn.MaxPool2d(2),  # 2×2
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Flatten(),
        nn.Linear(256, 120),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
    )


def comparison() -> nn.Sequential:
    """From both sides' features (B, 168) to target logits (B, 2); 3,422 parameters."""
    return nn.Sequential(nn.Linear(168, 20), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(20, 2))


@register("mlp-relu", heads=("target",), parameters=146_588)
class MLP(PairNet):
    """Five dense layers take both images flattened."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), *dense_layers(2 * IMAGE * IMAGE, 220, 180, 96, 30, 2))


@register("lenet-pair", heads=("target",), parameters=60_278)
class PairLeNet(PairNet):
    """The convolutions and one linear layer take the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*branch(2), nn.Linear(84, 2))


@register("lenet-features", heads=("target",), parameters=63_242)
class FeatureLeNet(nn.Module):
    """A comparison head takes the 2×84 features of one shared branch."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(branch, shared=True)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        return {"target": self.comparison(self.branch(pairs).flatten(1))}


@register("lenet-two-heads", heads=("target", "digits"), parameters=64_092)
class TwoHeadLeNet(nn.Module):
    """A comparison head and a digit head take the same features; the comparison does not see the digit head."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(branch, shared=True)
        self.digits = nn.Linear(84, 10)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        features = self.branch(pairs)
        return {"target": self.comparison(features.flatten(1)), "digits": self.digits(features)}


@register("lenet-digits", heads=("digits",), parameters=60_670)
class DigitLeNet(nn.Module):
    """The branch with a digit head only."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(branch, shared=True)
        self.digits = nn.Linear(84, 10)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.digits(self.branch(pairs))}

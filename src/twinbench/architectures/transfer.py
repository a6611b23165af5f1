"""Report 3: from dense layers to a LeNet-5 style branch that learns the digits first and then the comparison.

What the report leaves open: authors' code, GitHub guarin/deep_learning, proj1. Its first convolutional model has ReLU
before max-pooling, the others behind it: the same function, with the same gradient.
"""

from functools import partial

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.architectures.twin import PairNet, Twin, dense_layers

DROPOUT = 0.3


def convolutions(channels: int, dropout: float = DROPOUT) -> nn.Sequential:
    """From images (n, channels, 14, 14) to features (n, 256); 18,816 parameters with one channel."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),  # 12×12
        nn.MaxPool2d(2),  # 6×6
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.Conv2d(32, 64, 3),  # 4×4
        nn.MaxPool2d(2),  # 2×2
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.Flatten(),
    )


def dense(dropout: float = DROPOUT, last: bool = True) -> nn.Sequential:
    """From features (…, 256) to features (…, 84); 41,004 parameters. ``last``: dropout behind the last ReLU too."""
    return nn.Sequential(*dense_layers(256, 120, 84, dropout=dropout), nn.ReLU(), *[nn.Dropout(dropout)] * last)


def comparison() -> nn.Sequential:
    """From both sides' features (B, 168) to target logits (B, 2); 3,422 parameters."""
    return nn.Sequential(*dense_layers(168, 20, 2))


@register("mlp-relu", heads=("target",), parameters=146_588)
class MLP(PairNet):
    """Five dense layers take both images flattened. Of the widths, the report gives the total of parameters alone."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), *dense_layers(2 * IMAGE * IMAGE, 264, 120, 84, 10, 2))


@register("lenet-pair", heads=("target",), parameters=60_278)
class PairLeNet(PairNet):
    """The branch and one linear layer take the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(convolutions(2), dense(), nn.Linear(84, 2))


class SiameseLeNet(nn.Module):
    """One shared branch gives the features of each image.

    Its convolutions and dense layers are two parts: transfer learning goes on training the dense ones alone.
    """

    def __init__(self, dropout: float = DROPOUT, last: bool = True):
        super().__init__()
        self.convolutions = Twin(partial(convolutions, 1, dropout), shared=True)
        self.dense = dense(dropout, last)

    def features(self, pairs: Tensor) -> Tensor:
        """Take pairs (B, 2, 14, 14), return features (B, 2, 84)."""
        return self.dense(self.convolutions(pairs))


@register("lenet-features", heads=("target",), parameters=63_242)
class FeatureLeNet(SiameseLeNet):
    """A comparison head takes the 2×84 features of the branch."""

    def __init__(self):
        super().__init__()
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        return {"target": self.comparison(self.features(pairs).flatten(1))}


@register("lenet-two-heads", heads=("target", "digits"), parameters=64_092)
class TwoHeadLeNet(SiameseLeNet):
    """A comparison head and a digit head take the same features; the comparison does not see the digit head.

    Args:
        comparison_dropout: whether the features' dropout reaches both heads, as in the authors' AuxiliaryLoss, or the
            digit head alone, as in their Transfer.
    """

    def __init__(self, comparison_dropout: bool = True):
        super().__init__(last=comparison_dropout)
        digits = nn.Linear(84, 10)
        self.digits = digits if comparison_dropout else nn.Sequential(nn.Dropout(DROPOUT), digits)
        self.comparison = comparison()

    def forward(self, pairs: Tensor) -> Heads:
        features = self.features(pairs)
        return {"target": self.comparison(features.flatten(1)), "digits": self.digits(features)}


@register("lenet-digits", heads=("digits",), parameters=60_670)
class DigitLeNet(SiameseLeNet):
    """The branch with a digit head only. The authors' has no dropout; the report's, as part of Transfer, has 0.3."""

    def __init__(self, dropout: float = 0.0):
        super().__init__(dropout)
        self.digits = nn.Linear(84, 10)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.digits(self.features(pairs))}

"""The plain convolutional model of the assignment (EE-559), against which report 5 sets its own.

The assignment gives about 70,000 parameters, 25 epochs and an error of about 15%, but no layers. These are those of the
course's convolutional exercise, 32 and 64 channels and 200 hidden units, with 3×3 kernels to fit 14×14 pixels.
"""

from torch import nn

from twinbench.architectures.registry import register
from twinbench.architectures.twin import PairNet


@register("plain-convnet", heads=("target",), parameters=70_906)
class PlainConvNet(PairNet):
    """Two convolutions and two dense layers take the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 32, 3),  # 12×12
            nn.MaxPool2d(2),  # 6×6
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),  # 4×4
            nn.MaxPool2d(2),  # 2×2
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 200),
            nn.ReLU(),
            nn.Linear(200, 2),
        )

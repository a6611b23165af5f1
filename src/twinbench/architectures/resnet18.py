"""Report 1 (Celik, Oliva i Jürgens, Mainusch): torchvision's ResNet-18 for a pair as one image, and for each image.

On 14×14 images its maps are 14×14 after the first convolution, then 7×7, 4×4, 2×2 and 1×1 in its four stages.
"""

from torch import Tensor, nn
from torchvision.models import ResNet, resnet18  # 2.5 s and 170 MB, whichever of its modules is asked for

from twinbench.architectures.registry import Heads, register
from twinbench.architectures.twin import Twin


def backbone(channels: int, outputs: int) -> nn.Module:
    """From images (n, channels, 14, 14) to ``outputs`` logits: ResNet-18 whose first convolution keeps 14×14."""
    net = resnet18(weights=None, num_classes=outputs)
    net.conv1 = nn.Conv2d(channels, 64, 7, padding=3, bias=False)  # drawn as torch does, as in the authors' code
    return net


class FromImageNet(nn.Module):
    """A model with one ResNet-18 in it, which may start from ImageNet's weights."""

    def load_pretrained(self, tensors: dict[str, Tensor]) -> None:
        """Take over the weights of a ResNet-18 for colour images, by torchvision's names.

        Its first convolution sees three channels. A model of one grey channel gets the sum of their weights: it answers
        a grey image as the original answers three copies of it. A model of two channels gets half that sum for each,
        so that answers keep their scale. The last layer has other classes and keeps its random weights.
        """
        (net,) = (module for module in self.modules() if isinstance(module, ResNet))
        state, first = net.state_dict(), net.conv1
        grey = tensors["conv1.weight"].sum(dim=1, keepdim=True)
        ours = {"conv1.weight": grey.expand_as(first.weight) / first.in_channels}
        ours |= {name: state[name] for name in ("fc.weight", "fc.bias")}
        net.load_state_dict(state | tensors | ours)


@register("resnet18-pair", heads=("target",), parameters=11_174_402, pretrained="resnet18")
class MNISTResNet(FromImageNet):
    """ResNet-18 takes the pair as one image of two channels."""

    def __init__(self):
        super().__init__()
        self.net = backbone(2, 2)

    def forward(self, pairs: Tensor) -> Heads:
        return {"target": self.net(pairs)}


@register("resnet18-siamese", heads=("digits",), parameters=11_175_370, pretrained="resnet18")
class MNISTResSiameseNet(FromImageNet):
    """One shared ResNet-18 names each digit; the decision compares the two digits."""

    def __init__(self):
        super().__init__()
        self.branch = Twin(lambda: backbone(1, 10), shared=True)

    def forward(self, pairs: Tensor) -> Heads:
        return {"digits": self.branch(pairs)}

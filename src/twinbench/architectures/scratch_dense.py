"""Report 4, project 2 (Azzano, Erbacher, Piquet): dense models of our own framework, `twinbench.scratch`.

The framework does every forward and backward pass; torch.nn only holds the weights under names, as for any model.
"""

from typing import Literal

from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads, register
from twinbench.scratch.modules import Linear, Module, ReLU, Sequential, Tanh

ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}


def dense(inputs: int, width: int, layers: int, halving: bool, activation: str) -> Sequential:
    """Return ``layers`` hidden layers of ``width`` units, an activation after each, and one linear output.

    With ``halving``, each hidden layer has half the units of the one before.
    """
    modules: list[Module] = []
    for number in range(layers):
        units = max(1, width // 2**number) if halving else width
        modules += [Linear(inputs, units), ACTIVATIONS[activation]()]
        inputs = units
    return Sequential(*modules, Linear(inputs, 1))


class ScratchModel(nn.Module):
    """Layers of `twinbench.scratch` that look like any other model: they have named weights and heads.

    Each torch parameter is the same tensor as the framework's own parameter. Autograd takes no part.
    """

    def __init__(self, net: Sequential):
        super().__init__()
        self.net = net
        for number, parameter in enumerate(net.parameters()):
            self.register_parameter(f"parameter_{number}", nn.Parameter(parameter.value, requires_grad=True))

    def forward(self, examples: Tensor) -> Heads:
        return {"target": self.net.forward(examples.detach().flatten(1)).detach()}

    def flops(self) -> int:
        """Return the floating-point operations of one example's forward pass, two per multiply-add."""
        return sum(2 * module.inputs * module.outputs for module in self.net.modules if isinstance(module, Linear))


@register(
    "scratch-disc", heads=("target",), parameters=17_025, task="disc", loss="mse", strategy="twinbench.training.scratch"
)
class ScratchDisc(ScratchModel):
    """Hidden layers of our own framework take points (B, 2) of the unit square."""

    def __init__(
        self, width: int = 128, layers: int = 2, halving: bool = False, activation: Literal["relu", "tanh"] = "relu"
    ):
        super().__init__(dense(2, width, layers, halving, activation))


@register("scratch-pairs", heads=("target",), parameters=27_265, loss="mse", strategy="twinbench.training.scratch")
class ScratchPairs(ScratchModel):
    """Hidden layers of our own framework take both images side by side, as 392 features."""

    def __init__(
        self, width: int = 64, layers: int = 2, halving: bool = True, activation: Literal["relu", "tanh"] = "relu"
    ):
        super().__init__(dense(2 * IMAGE * IMAGE, width, layers, halving, activation))

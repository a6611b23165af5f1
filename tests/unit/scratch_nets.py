"""Nets of our own framework, and the same nets in torch.nn."""

import torch
from torch import nn

from twinbench.architectures.scratch_dense import ACTIVATIONS
from twinbench.scratch.modules import Linear, ReLU, Sequential, Tanh

TORCHS = {ReLU: nn.ReLU, Tanh: nn.Tanh}


def dense(inputs, hidden, activation, generator=None, dtype=torch.float64) -> Sequential:
    """Build the model of `architectures.scratch_dense` with any widths and precision."""
    modules = []
    for width in hidden:
        modules += [Linear(inputs, width, generator, dtype), ACTIVATIONS[activation]()]
        inputs = width
    return Sequential(*modules, Linear(inputs, 1, generator, dtype))


def torch_twin(net: Sequential) -> nn.Sequential:
    """Return the torch.nn net with the same weights; torch keeps them transposed, (outputs, inputs)."""
    layers = []
    for module in net.modules:
        if isinstance(module, Linear):
            layer = nn.Linear(module.inputs, module.outputs, dtype=module.weight.value.dtype)
            layer.weight.data, layer.bias.data = module.weight.value.T.clone(), module.bias.value.clone()
            layers.append(layer)
        else:
            layers.append(TORCHS[type(module)]())
    return nn.Sequential(*layers)


def as_ours(parameter: nn.Parameter) -> torch.Tensor:
    """A parameter of the torch.nn net in our layout."""
    return parameter.detach() if parameter.ndim == 1 else parameter.detach().T

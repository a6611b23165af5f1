"""Costs of a model: parameters, and floating-point operations of one example's forward pass."""

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def forward_flops(model: nn.Module, example: Tensor) -> int:
    """Return the floating-point operations of one example's forward pass, two per multiply-add.

    Only dense layers and convolutions count, as in torch's FlopCounterMode. That one imports torch's compiler, which
    takes 1.5 s, too long for a job. A model of other layers has a method ``flops``.
    """
    if hasattr(model, "flops"):
        return model.flops()
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        # Each output element meets one row, or one filter, of the weights. In a transposed convolution, each input
        # element meets one weight per output channel and tap.
        elements = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += 2 * elements.numel() * layer.weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    with torch.inference_mode():
        model.eval()(torch.zeros_like(example))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return total

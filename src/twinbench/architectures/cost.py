"""What a model costs: parameters, and floating-point operations of one pair's forward pass."""

import torch
from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def forward_flops(model: nn.Module) -> int:
    """Return the floating-point operations of one pair's forward pass, two a multiply-add.

    Dense layers and convolutions count, as in torch's own FlopCounterMode, which a job cannot afford: it imports
    torch's compiler, for 1.5 s.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.ConvTranspose2d):  # each input element meets one weight an output channel and tap
            total += 2 * inputs[0].numel() * layer.weight[0].numel()
        else:  # each output element is a product over one row, or one filter, of the weights
            total += 2 * output.numel() * layer.weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 2, IMAGE, IMAGE))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return total

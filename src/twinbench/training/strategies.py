"""Which strategy trains a cell's replicas: a matter of speed, not of science."""

from collections.abc import Callable

import torch
from torch import nn

from twinbench.architectures.stacking import StackError, stack
from twinbench.training.replicas import LoopReplicas, Replicas
from twinbench.training.stacked import StackedReplicas

# Pairs a step up to which dense nets gain from stacking on a processor.
FEW_PAIRS = 16


def choose(build: Callable[[], nn.Module], device: torch.device, batch_size: int) -> type[Replicas]:
    """Return the faster strategy for what ``build`` makes, on this device with this many pairs in a step.

    - A GPU: stacked. The kernels of one small replica leave most of it idle.
    - A processor: stacked for nets without convolutions at a few pairs a step, where Python and torch's overhead an
      operation is most of the time; `make bench` has the numbers. A convolution's work fills the processor anyway.
    - What cannot be stacked is trained in a loop.

    The number of replicas plays no part: otherwise a round could end in other last digits in another block of rounds.
    """
    if device.type == "cpu" and (batch_size > FEW_PAIRS or _has_convolutions(build())):
        return LoopReplicas
    try:
        stack([build(), build()])
    except StackError:
        return LoopReplicas
    return StackedReplicas


def _has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())

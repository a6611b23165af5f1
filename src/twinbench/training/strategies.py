"""Which strategy trains a cell's replicas: a matter of speed, not of science."""

from collections.abc import Callable

import torch
from torch import nn

from twinbench.spec.training import Training
from twinbench.training.replicas import LoopReplicas, Replicas
from twinbench.training.stacked.layers import StackError
from twinbench.training.stacked.replicas import StackedReplicas
from twinbench.training.stacked.stack import stack

# Up to this many pairs per step, stacking made dense models faster on a processor.
FEW_PAIRS = 128


def choose(build: Callable[[], nn.Module], device: torch.device, training: Training) -> type[Replicas]:
    """Return the faster strategy for what ``build`` makes, on this device with this training.

    - A GPU: stacked, because the kernels of one small replica leave most of it idle. Not measured yet.
    - A processor, no convolutions, at most `FEW_PAIRS` pairs per step: stacked, because calling an operation costs as
      much as its work. Ten rounds at once are 4.7 times as fast as a loop for dense-twin (1 pair per step), 2.3 times
      for mlp-selu (128), and 1.2 times for the 146,588 parameters of mlp-relu (100); two rounds of these, 1.3 and 1.1.
    - A processor and convolutions: a loop, whose layers keep their fastest layout. Stacked, twin-lenet (128 pairs)
      takes 1.9 times as long, conv-twin (5 pairs) 1.4 times.
    - A model that cannot be stacked, folds that go on with one model, training in evaluation mode or evaluation in
      training mode: a loop.

    Processor time of one core of an AMD EPYC with AVX-512, torch 2.15, evaluation included: medians of 5 to 25 epochs
    (`make bench`).

    The number of replicas plays no part: otherwise a round could end in other last digits in another block of rounds.
    """
    model = build()
    convolutions = any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())
    if device.type == "cpu" and (training.batch_size > FEW_PAIRS or convolutions):
        return LoopReplicas
    if training.chain or training.passes or training.evaluation_mode_from or training.tested_in_training_mode:
        return LoopReplicas
    try:
        stack([model, build()])
    except StackError:
        return LoopReplicas
    return StackedReplicas

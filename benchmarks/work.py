"""How fast a training could be: its operations, the machine's fastest, and the time of its convolutions alone."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tasks import Task
from benchmarks.timing import interleaved, timed
from twinbench.architectures.registry import IMAGE

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d
SIZES, REPETITIONS, OPERATIONS = (256, 512, 1024, 2048), 10, 2**30


def peak_flops() -> float:
    """Return the operations per second of the fastest of some square matrix products.

    They are oneDNN's, on which torch's convolutions rest too, where it is; torch.mm is MKL's, which on AMD's processors
    makes no use of AVX-512.
    """
    torch.set_num_threads(1)
    runs, operations = {}, {}
    for size in SIZES:
        a, b = torch.rand(2, size, size)
        if torch.backends.mkldnn.is_available():
            product = partial(functional.linear, a.to_mkldnn(), b.to_mkldnn())
        else:
            product = partial(torch.mm, a, b, out=a @ b)
        count = max(1, OPERATIONS // (2 * size**3))
        runs[size], operations[size] = timed(partial(_repeat, product, count)), count * 2 * size**3
    took = interleaved(runs, REPETITIONS)
    return (took["way"].map(operations) / took["seconds"]).max()


def _repeat(work: Callable[[], object], count: int) -> None:
    for _ in range(count):
        work()


def training_flops(task: Task) -> int:
    """Return the operations of a round's training steps."""
    _, step = pair_flops(task.build())
    return round(step * task.steps() * task.cell.training.batch_size)


def pair_flops(model: nn.Module) -> tuple[int, int]:
    """Return the operations of one pair's forward pass that its result needs, and of its training step.

    A multiply-add is two. The backward pass takes a layer's again for the gradient of its weights, and once more for
    that of what goes in, which the images do not need. Parts that a phase freezes count as if they were trained.

    Unlike `cost.forward_flops`, products with the zeros of a convolution's padding do not count: torch skips them, and
    for 5×5 filters on 4×4 pixels they are half of all.
    """
    forward = step = 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal forward, step
        if isinstance(layer, nn.Linear):
            operations = 2 * output.numel() * layer.in_features
        else:
            images, channels, *size = inputs[0].shape
            convolve = functional.conv2d if isinstance(layer, nn.Conv2d) else functional.conv_transpose2d
            ones = torch.ones(1, 1, *size), torch.ones(1, 1, *layer.kernel_size)
            products = convolve(*ones, stride=layer.stride, padding=layer.padding).sum()  # of pixels with taps
            operations = 2 * images * channels * layer.out_channels * int(products)
        forward += operations
        step += operations * (3 if inputs[0].requires_grad else 2)

    for layer in model.eval().modules():
        if isinstance(layer, nn.Linear | CONVOLUTIONS):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 2, IMAGE, IMAGE))
    return forward, step


class Convolutions:
    """The convolutions of a training step, forward and backward, each alone with what it met in the step.

    Args:
        model: whose layers they are.
        step: does a training step with it.
    """

    def __init__(self, model: nn.Module, step: Callable[[], object]):
        self.calls: list[list] = []  # layer, input, whether a gradient flows to it, gradient of the output or None
        layers = [layer for layer in model.modules() if isinstance(layer, CONVOLUTIONS)]
        hooks = [layer.register_forward_hook(self._note) for layer in layers]
        step()
        for hook in hooks:
            hook.remove()

    def _note(self, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        call = [layer, inputs[0].detach(), inputs[0].requires_grad, None]
        if output.requires_grad:
            output.register_hook(partial(call.__setitem__, 3))
        self.calls.append(call)

    def run(self) -> None:
        """Do them again."""
        for layer, x, has_gradient, gradient in self.calls:
            output = layer(x.requires_grad_(has_gradient))
            if gradient is not None:
                wanted = [tensor for tensor in (x, *layer.parameters()) if tensor.requires_grad]
                torch.autograd.grad(output, wanted, gradient)

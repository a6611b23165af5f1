"""The arithmetic of a round, and the fastest that this machine does arithmetic: both of float32, on one thread."""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ways import Task
from twinbench.architectures.registry import IMAGE

SIZES, REPEATS, OPERATIONS = (256, 512, 1024, 2048), 10, 2**30


def peak_flops() -> float:
    """Return the operations a second of the fastest of some square matrix products, torch.mm's or oneDNN's.

    torch.mm is MKL's, which on AMD's processors makes no use of AVX-512; convolutions are oneDNN's, which does.
    """
    torch.set_num_threads(1)
    best = 0.0
    for size in SIZES:
        a, b = torch.rand(2, size, size)
        product = a @ b
        ways: list[Callable[[], Tensor]] = [partial(torch.mm, a, b, out=product)]
        if torch.backends.mkldnn.is_available():
            ways.append(partial(functional.linear, a.to_mkldnn(), b.to_mkldnn()))
        best = max(best, *(2 * size**3 / _fastest(way, max(1, OPERATIONS // (2 * size**3))) for way in ways))
    return best


def _fastest(run: Callable[[], Tensor], count: int) -> float:
    """Return the seconds of a run, in the fastest of some series of ``count``."""
    series = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(count):
            run()
        series.append((time.perf_counter() - start) / count)
    return min(series)


def round_flops(task: Task) -> int:
    """Return the operations of a round: its training steps, and its evaluations of every split."""
    counts = task.examples["counts"]
    held_out = counts["train"] // task.examples["folds"] if task.examples["folds"] else 0
    forward, step = pair_flops(task.build())
    epoch = step * (counts["train"] - held_out) + forward * sum(counts.values())
    return epoch * task.cell.training.epochs


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
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 2, IMAGE, IMAGE))
    return forward, step

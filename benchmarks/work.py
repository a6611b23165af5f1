"""The arithmetic of a round, and the fastest that this machine does arithmetic: both of float32, on one thread."""

import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain import plain
from benchmarks.ways import Task
from twinbench.architectures.registry import IMAGE

SIZES, REPEATS, OPERATIONS = (256, 512, 1024, 2048), 10, 2**30


def peak_flops() -> float:
    """Return the operations a second of the fastest of some square matrix products."""
    torch.set_num_threads(1)
    best = 0.0
    for size in SIZES:
        a, b = torch.rand(2, size, size)
        product, count = a @ b, max(1, OPERATIONS // (2 * size**3))
        for _ in range(REPEATS):
            start = time.perf_counter()
            for _ in range(count):
                torch.mm(a, b, out=product)
            best = max(best, count * 2 * size**3 / (time.perf_counter() - start))
    return best


def round_flops(task: Task) -> int:
    """Return the operations of a round: a training step is three forward passes, two of them for the backward one."""
    counts = task.pairs["counts"]
    held_out = counts["train"] // task.pairs["folds"] if task.pairs["folds"] else 0
    forward_passes = 3 * (counts["train"] - held_out) + sum(counts.values())
    return pair_flops(task.build()) * forward_passes * task.cell["training"]["epochs"]


def pair_flops(model: nn.Module) -> int:
    """Return the operations of one pair's forward pass that its result needs, two a multiply-add.

    Unlike `cost.forward_flops`, products with the zeros of a convolution's padding do not count: torch skips them, and
    for 5×5 filters on 4×4 pixels they are half of all. Counting them would show more than the peak.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += 2 * output.numel() * layer.in_features
            return
        images, channels, *size = inputs[0].shape
        convolve = functional.conv2d if isinstance(layer, nn.Conv2d) else functional.conv_transpose2d
        ones = torch.ones(1, 1, *size), torch.ones(1, 1, *layer.kernel_size)
        products = convolve(*ones, stride=layer.stride, padding=layer.padding).sum()  # of pixels with taps
        total += 2 * images * channels * layer.out_channels * int(products)

    net = plain(model).eval()  # torch's layers alone
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        net(torch.zeros(1, 2, IMAGE, IMAGE))
    return total

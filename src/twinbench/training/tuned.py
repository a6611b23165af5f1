"""Make a built model of torch's own layers faster on a processor, in one pass over its modules: `tune`.

The layers here compute what torch's own do, and have the same argument names; the tests check them against torch's.
Times: forward and backward, 256 images of 16 channels and 14×14 or 12×12 pixels, on one core of an AMD EPYC with
AVX-512, torch 2.15.
"""

from copy import deepcopy
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from twinbench.architectures.registry import IMAGE

# Klambauer et al. (2017), equation 2: the fixed point with mean 0 and variance 1.
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

MANY_WEIGHTS = 2**15  # a convolution with so many slows steps down by copying them; conv-twin's has 204,800


def tune(model: nn.Module) -> nn.Module:
    """Give a model's layers their faster forms, in place, and return the model; weights and names stay as they are.

    A layer is known by its type, its place and the shape of what it sees, never by the model that it is in:

    - a convolution of the images becomes an `InputConv2d`;
    - a padded convolution that leaves one pixel becomes a `OnePixelConv2d`;
    - SELU becomes `SELU`, and Flatten right behind average pooling in an ``nn.Sequential`` becomes `Flatten`;
    - large convolutions store their weights in channels_last (`lay_out`).

    All other layers stay, and so do subclasses of torch's layers. Nothing is drawn from torch's global generators.

    Args:
        model: takes pairs (B, 2, 14, 14), if it has an ``nn.Conv2d``: it then sees one pair of zeros. A stacked model,
            which has none, may be tuned too.
    """
    for layer, shape in _seen_shapes(model).items():
        if shape[1:] in [(1, IMAGE, IMAGE), (2, IMAGE, IMAGE)]:  # one image, or the two of a pair
            layer.__class__ = InputConv2d
        elif _leaves_one_pixel(layer, shape):
            layer.__class__ = OnePixelConv2d
    for module in list(model.modules()):
        if type(module) is nn.SELU and not module.inplace:
            module.__class__ = SELU
        if isinstance(module, nn.Sequential):
            for before, layer in pairwise(module):
                if type(before) is nn.AvgPool2d and type(layer) is nn.Flatten:
                    layer.__class__ = Flatten
    return lay_out(model)


def lay_out(model: nn.Module) -> nn.Module:
    """Store the weights of large inner convolutions in channels_last, as their maps are; return the model.

    Otherwise, a processor's convolution of such maps copies the weights from the default layout in every pass. Without
    the copies, a step of conv-twin (few pairs) takes 0.8 to 0.9 of the time, one of ResNet-18 (many) 0.9 to 1.0.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() >= MANY_WEIGHTS and not layer.weight.is_cuda:
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return model


class SELU(nn.SELU):
    """Self-normalising activation that takes 1 ms in either state of the machine; ``torch.nn.SELU`` takes 1 or 10.

    torch's SELU uses its expm1, whose AVX-512 form has two speeds on this processor (docs/performance.md); numpy's has
    one. Without AVX-512, this layer is torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:
        avx512 = input.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
        return _SELU.apply(input) if avx512 else functional.selu(input)


class _SELU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        negative = x.clamp(max=0)
        np.expm1(negative.numpy(), out=negative.numpy())  # an array is a view of its tensor
        output = negative.mul_(SCALE * ALPHA).add_(x.clamp(min=0), alpha=SCALE)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        # The derivative follows from the output alone: SCALE above 0, output + SCALE·ALPHA below.
        return torch.ops.aten.elu_backward(gradient, ALPHA, SCALE, 1.0, True, output)


class InputConv2d(nn.Conv2d):
    """A model's first convolution, which returns channels_last.

    The layers behind it keep the layout of their input, and pooling is 5 to 7 times faster in channels_last: 0.3 ms
    against 1.9 (average), 0.4 against 3.0 (max). torch's convolution returns channels_last if the images come so. A 3×3
    kernel on one channel with 16 outputs or more is a matrix product of the image's patches instead: 1.8 ms against
    2.1. For 8 outputs the product would be slower: 2.2 ms against 1.5.
    """

    PATCH, OUTPUTS = 9, 16  # a product for at most so many weights per output, and at least so many outputs

    def forward(self, input: Tensor) -> Tensor:
        x = input
        simple = (self.stride, self.dilation, self.groups, self.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
        simple = simple and self.bias is not None and not isinstance(self.padding, str) and not x.is_cuda
        if not simple or self.weight[0].numel() > self.PATCH or self.out_channels < self.OUTPUTS:
            # With one channel, torch knows the layout by the strides alone.
            x = x.squeeze(1).unsqueeze(-1).movedim(-1, 1) if x.shape[1] == 1 else x
            return super().forward(x.contiguous(memory_format=torch.channels_last))
        weights = self.weight.flatten(1).T.contiguous()  # (patch, O); its gradient is then one fast product too
        (height, width), (above, left) = self.kernel_size, self.padding
        x = functional.pad(x, (left, left, above, above))
        # First copy once per column of the kernel: then a patch's rows are long runs of memory.
        x = x.unfold(3, width, 1).permute(1, 4, 0, 2, 3).contiguous().unfold(3, height, 1)
        rows, columns = x.shape[3:5]
        patches = x.permute(0, 5, 1, 2, 3, 4).reshape(len(weights), -1)
        return torch.addmm(self.bias, patches.T, weights).view(-1, rows, columns, self.out_channels).permute(0, 3, 1, 2)


class Flatten(nn.Flatten):
    """From average pooling's maps to features; the gradient goes back in the maps' layout.

    torch's gradient comes in the default layout, so average pooling's backward pass copies its maps twice: forward and
    backward of 256 maps of 32×4×4 take 0.4 ms, here 0.1. Behind other layers, this gained nothing.
    """

    def forward(self, input: Tensor) -> Tensor:
        x = input
        if x.requires_grad and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_cuda:
            x.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return super().forward(x)


class OnePixelConv2d(nn.Conv2d):
    """A convolution that skips the taps that meet only zero padding, if it leaves one pixel.

    It is then one matrix product: for a 3×3 kernel on a 1×1 map, a ninth of the work. ResNet-18's last stage, forward
    and backward on 128 images of 14×14, takes 25 ms; with ``torch.nn.Conv2d`` it takes 85.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not _leaves_one_pixel(self, input.shape):
            return super().forward(input)
        size = zip(input.shape[-2:], self.padding, strict=True)
        rows, columns = (slice(padding, padding + pixels) for pixels, padding in size)
        weight = self.weight[:, :, rows, columns]
        return functional.linear(input.flatten(1), weight.flatten(1), self.bias)[:, :, None, None]


def _leaves_one_pixel(layer: nn.Conv2d, shape: torch.Size) -> bool:
    """Whether a convolution of maps (n, C, H, W) takes one step each way, and its padded taps meet every pixel once."""
    simple = (layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), 1, "zeros")
    if not simple or len(shape) != 4 or isinstance(layer.padding, str) or not any(layer.padding):
        return False
    sizes = zip(shape[2:], layer.kernel_size, layer.stride, layer.padding, strict=True)
    return all(
        pixels + padding <= kernel <= pixels + 2 * padding < kernel + stride
        for pixels, kernel, stride, padding in sizes
    )


def _seen_shapes(model: nn.Module) -> dict[nn.Conv2d, torch.Size]:
    """Return the shape of what each ``nn.Conv2d`` sees when one pair goes through a copy of the model."""
    shapes: dict[nn.Conv2d, torch.Size] = {}
    if not any(type(layer) is nn.Conv2d for layer in model.modules()):
        return shapes

    def note(layer: nn.Conv2d, _: nn.Conv2d, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        shapes.setdefault(layer, (*inputs, *named.values())[0].shape)

    copy = deepcopy(model).eval()
    for layer, copied in zip(model.modules(), copy.modules(), strict=True):
        if type(layer) is nn.Conv2d:
            copied.register_forward_pre_hook(partial(note, layer), with_kwargs=True)
            pair = torch.zeros(1, 2, IMAGE, IMAGE).to(layer.weight)
    with torch.no_grad(), torch.random.fork_rng([pair.device] if pair.is_cuda else []):
        copy(pair)
    return shapes

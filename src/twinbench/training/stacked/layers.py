"""Layers of R models as one layer each, for `stack.stack`.

Shapes: R replicas, n rows of each in a batch (pairs, or images), C channels in, O channels out.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Weights per replica from which `OneRow` is faster, with 4 to 10 replicas and more. With one replica it costs 10 µs.
LARGE = 5000


class StackError(TypeError):
    """An architecture has no stacked form that computes the same."""


class StackedLinear(nn.Module):
    """R dense layers as one batched matrix product; weight (R, C, O), bias (R, 1, O); torch's shapes in the state dict.

    In this shape, the gradient of the weight comes from the product and needs no copy.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(len(self.weight), -1, x.shape[-1])
        if rows.shape[1] == 1 and self.bias is not None and self.weight.numel() >= LARGE * len(rows):
            product = OneRow.apply(self.bias, rows, self.weight)
        else:
            product = rows.bmm(self.weight) if self.bias is None else self.bias.baddbmm(rows, self.weight)
        return product.view(*x.shape[:-1], -1)

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"].transpose(1, 2)
        if self.bias is not None:
            destination[f"{prefix}bias"] = destination[f"{prefix}bias"].squeeze(1)


class OneRow(torch.autograd.Function):
    """Dense layers of one row each, whose weight's gradient is a plain product of a column with a row.

    torch's batched matrix product takes two to three times as long: 79 µs against 33 (10 replicas, 200×200).
    """

    @staticmethod
    def forward(ctx: Any, bias: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        """Take bias (R, 1, O), rows (R, 1, C) and weight (R, C, O), return (R, 1, O)."""
        ctx.save_for_backward(rows, weight)
        return bias.baddbmm(rows, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the gradients of bias, rows and weight."""
        rows, weight = ctx.saved_tensors
        of_rows = gradient.bmm(weight.transpose(1, 2)) if ctx.needs_input_grad[1] else None
        of_weight = rows.transpose(1, 2) * gradient if ctx.needs_input_grad[2] else None
        return gradient, of_rows, of_weight


class StackedConv(nn.Module):
    """R convolutions, or transposed ones, as one with R groups of channels; weight (R, …), bias (R, O)."""

    def __init__(self, layers: Sequence[nn.Conv2d | nn.ConvTranspose2d]):
        super().__init__()
        first = layers[0]
        if first.groups != 1 or first.padding_mode != "zeros":
            raise StackError(f"no stacked form of {first}")
        self.settings = {name: getattr(first, name) for name in ("stride", "padding", "dilation")}
        if isinstance(first, nn.ConvTranspose2d):
            self.settings["output_padding"] = first.output_padding
        self.convolve = functional.conv_transpose2d if "output_padding" in self.settings else functional.conv2d
        self.weight = _stacked([layer.weight for layer in layers])
        self.bias = _stacked([layer.bias for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        count = len(self.weight)
        weight, bias = self.weight.flatten(0, 1), None if self.bias is None else self.bias.flatten()
        return _one_after_the_other(
            self.convolve(_side_by_side(x, count), weight, bias, groups=count, **self.settings), count
        )


class StackedBatchNorm(nn.Module):
    """R batch norms, each over its own rows, as one over R·C channels; weight, bias and running statistics (R, C)."""

    def __init__(self, layers: Sequence[nn.BatchNorm1d | nn.BatchNorm2d]):
        super().__init__()
        first = layers[0]
        if first.momentum is None or not first.track_running_stats:
            raise StackError(f"no stacked form of {first}")
        self.momentum, self.eps = first.momentum, first.eps
        self.weight = _stacked([layer.weight for layer in layers])
        self.bias = _stacked([layer.bias for layer in layers])
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        count = len(self.running_mean)
        if self.training:
            self.num_batches_tracked += 1
        mean, variance = self.running_mean.view(-1), self.running_var.view(-1)
        scale, shift = (None if tensor is None else tensor.flatten() for tensor in (self.weight, self.bias))
        maps = functional.batch_norm(
            _side_by_side(x, count), mean, variance, scale, shift, self.training, self.momentum, self.eps
        )
        return _one_after_the_other(maps, count)


class StackedDropout(nn.Module):
    """R dropouts; each draws from its replica's own generator, one of ``generators``.

    A replica's masks depend on no other replica. On a processor they are those that the layer alone would draw, if
    torch's global generator were in the same state; on a GPU that layer draws in another order.
    """

    def __init__(self, layers: Sequence[nn.Dropout | nn.Dropout2d]):
        super().__init__()
        self.keep, self.channels = 1 - layers[0].p, isinstance(layers[0], nn.Dropout2d)
        self.generators: list[torch.Generator] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.keep == 1:
            return x
        # A mask in x's layout: torch fills tensors in the order of their memory.
        mask = x.new_empty([*x.shape[:2], 1, 1]) if self.channels else torch.empty_like(x)
        for rows, generator in zip(mask.chunk(len(self.generators)), self.generators, strict=True):
            rows.bernoulli_(self.keep, generator=generator)
        return x * mask.div_(self.keep) if self.keep else x * mask


class StackedTwin(nn.Module):
    """R twins with separate branches, as one branch with 2R replicas: half the calls, which take most of a dense step.

    Its state dict is that of two branches.
    """

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch = branch
        self.register_state_dict_post_hook(_part_sides)

    def forward(self, pairs: Tensor) -> Tensor:
        replicas = len(next(self.branch.parameters())) // 2
        images = pairs.unflatten(0, (replicas, -1)).transpose(1, 2).flatten(0, 2).unsqueeze(1)
        return self.branch(images).unflatten(0, (replicas, 2, -1)).transpose(1, 2).flatten(0, 1)


def _part_sides(twin: StackedTwin, state: dict[str, Tensor], prefix: str, _: object) -> None:
    """Name the tensors (2R, …) of a state dict as those (R, …) of two branches."""
    names = [name.removeprefix(f"{prefix}branch.") for name in state if name.startswith(f"{prefix}branch.")]
    both = {name: state.pop(f"{prefix}branch.{name}") for name in names}
    for side in range(2):
        state.update({f"{prefix}branches.{side}.{name}": tensor[side::2] for name, tensor in both.items()})


def _stacked(parameters: Sequence[nn.Parameter | None]) -> nn.Parameter | None:
    return None if parameters[0] is None else nn.Parameter(torch.stack([p.detach() for p in parameters]))


def _side_by_side(x: Tensor, count: int) -> Tensor:
    """From (R·n, C, …) to (n, R·C, …)."""
    return x.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)


def _one_after_the_other(x: Tensor, count: int) -> Tensor:
    """From (n, R·C, …) to (R·n, C, …); maps are in channels_last, as in a loop, because pooling is faster so."""
    return x.unflatten(1, (count, -1)).transpose(0, 1).movedim(2, -1).flatten(0, 1).movedim(-1, 1)


STACKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Conv2d: StackedConv,
    nn.ConvTranspose2d: StackedConv,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.Dropout: StackedDropout,
    nn.Dropout2d: StackedDropout,
}

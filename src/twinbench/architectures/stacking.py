"""R models of one architecture as one module, whose layers compute all R at once.

The stacked module sees the pairs of all replicas as one batch, replica after replica: R·B pairs, of which the first B
are the first replica's. The architecture's own forward and layers that treat each row alone stay as they are; layers
with weights, and dropout, split their rows by replica. Parameters and buffers keep their names and become (R, …): the
state dict of the stacked module is that of the R models, stacked.

torch.func.vmap would need no stacked layers, but takes longer: 0.52 ms a step and replica where weights stacked by hand
took 0.19 (dense-twin, one pair a step, 10 replicas, one core).

Shapes: R replicas, n rows of each in a batch (pairs, or images), C channels in, O channels out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from twinbench.architectures.registry import IMAGE, Heads


class StackError(TypeError):
    """An architecture has no stacked form that computes the same."""


class StackedLinear(nn.Module):
    """R dense layers as one batched matrix product; weight (R, C, O), but (R, O, C) in the state dict, bias (R, O).

    As (R, C, O) the product yields the weight's gradient, which is then taken over without a copy.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = _stacked([layer.bias for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(len(self.weight), -1, x.shape[-1])
        product = rows.bmm(self.weight) if self.bias is None else self.bias.unsqueeze(1).baddbmm(rows, self.weight)
        return product.view(*x.shape[:-1], -1)

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"].transpose(1, 2)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: object) -> None:
        turned = {f"{prefix}weight": state_dict[f"{prefix}weight"].transpose(1, 2)}
        super()._load_from_state_dict({**state_dict, **turned}, prefix, *others)


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
    """R dropouts, each of which draws from its replica's own generator (`seed_dropout`).

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


STACKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Conv2d: StackedConv,
    nn.ConvTranspose2d: StackedConv,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.Dropout: StackedDropout,
    nn.Dropout2d: StackedDropout,
}


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Return R models of one architecture as one module, made of the first of them, which is used up.

    Raises:
        StackError: a layer has no stacked form here, or the architecture's forward does not keep the order of its rows.
    """
    whole, images = models[0], _images(models)
    expected = [_evaluate(model, of_model) for model, of_model in zip(models, images, strict=True)]
    parameters = sum(parameter.numel() for model in models for parameter in model.parameters())
    # A module that serves in several places comes once, and its stacked form then serves in the same places.
    replaced = {layers[0]: _stacked_form(layers) for layers in zip(*(model.modules() for model in models), strict=True)}
    for parent in replaced:
        for name, child in list(parent._modules.items()):  # named_children() would name a module once
            setattr(parent, name, replaced.get(child) or child)
    if sum(parameter.numel() for parameter in whole.parameters()) != parameters:
        raise StackError(f"{type(whole).__name__} has layers that share a parameter")
    for head, logits in _evaluate(whole, images.flatten(0, 1)).items():
        if not torch.allclose(logits, torch.cat([heads[head] for heads in expected]), rtol=1e-3, atol=1e-3):
            raise StackError(f"{type(whole).__name__}'s forward mixes or reorders the rows of a batch")
    return whole


def seed_dropout(stacked: nn.Module, generators: list[torch.Generator]) -> None:
    """Let every dropout of a stacked module draw the masks of replica r from ``generators[r]``."""
    for module in stacked.modules():
        if isinstance(module, StackedDropout):
            module.generators = generators


def _stacked_form(layers: Sequence[nn.Module]) -> nn.Module | None:
    """Return R layers as one; None for a module that needs no other form: a container, or a layer without weights."""
    first = layers[0]
    for cls in type(first).__mro__:
        if cls in STACKED:
            return STACKED[cls](layers)
    own = [*first.parameters(recurse=False), *first.buffers(recurse=False)]
    if own or isinstance(first, nn.modules.dropout._DropoutNd):
        raise StackError(f"no stacked form of {type(first).__name__}")
    return None


def _stacked(parameters: Sequence[nn.Parameter | None]) -> nn.Parameter | None:
    return None if parameters[0] is None else nn.Parameter(torch.stack([p.detach() for p in parameters]))


def _side_by_side(x: Tensor, count: int) -> Tensor:
    """From (R·n, C, …) to (n, R·C, …)."""
    return x.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)


def _one_after_the_other(x: Tensor, count: int) -> Tensor:
    """From (n, R·C, …) to (R·n, C, …), maps in channels_last as a loop's layers hand them on: pooling likes it."""
    return x.unflatten(1, (count, -1)).transpose(0, 1).movedim(2, -1).flatten(0, 1).movedim(-1, 1)


def _images(models: Sequence[nn.Module]) -> Tensor:
    """Return three pairs for each model (R, 3, 2, 14, 14), to compare by; torch's global generator is left alone."""
    noise = torch.randn(len(models), 3, 2, IMAGE, IMAGE, generator=torch.Generator().manual_seed(0))
    return noise.to(next(models[0].parameters()))


@torch.no_grad()
def _evaluate(model: nn.Module, pairs: Tensor) -> Heads:
    heads = model.eval()(pairs)
    model.train()
    return heads

"""R models of one architecture as one module, whose layers compute all R at once (`layers`).

The stacked module sees the pairs of all replicas as one batch, replica after replica: R·B pairs, of which the first B
are the first replica's. The architecture's own forward and layers that treat each row alone stay as they are; layers
with weights, and dropout, split their rows by replica. The stacked module's state dict is that of the R models,
stacked: names stay, tensors become (R, …). Its parameters and buffers are (R, …), or (2R, …) where separate branches
are stacked as one: left and right of the first replica, then of the second.

torch.func.vmap would need no stacked layers, but takes longer: 0.52 ms per step and replica, against 0.19 with weights
stacked by hand (dense-twin, one pair per step, 10 replicas, one core).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from twinbench.architectures.registry import IMAGE, Heads
from twinbench.architectures.twin import Twin
from twinbench.training.stacked.layers import STACKED, StackedTwin, StackError


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Return R models of one architecture as one module, made of the first of them, which is used up.

    Raises:
        StackError: a layer has no stacked form here, or the architecture's forward does not keep the order of its rows.
    """
    # Three pairs per model, to compare the outputs; torch's global generator is left alone.
    noise = torch.randn(len(models), 3, 2, IMAGE, IMAGE, generator=torch.Generator().manual_seed(0))
    name, images = type(models[0]).__name__, noise.to(next(models[0].parameters()))
    expected = [_evaluate(model, of_model) for model, of_model in zip(models, images, strict=True)]
    parameters = sum(parameter.numel() for model in models for parameter in model.parameters())
    whole = _stack(models, {})
    if sum(parameter.numel() for parameter in whole.parameters()) != parameters:
        raise StackError(f"{name} has layers that share a parameter")
    for head, logits in _evaluate(whole, images.flatten(0, 1)).items():
        if not torch.allclose(logits, torch.cat([heads[head] for heads in expected]), rtol=1e-3, atol=1e-3):
            raise StackError(f"{name}'s forward mixes or reorders the rows of a batch")
    return whole


def _stack(modules: Sequence[nn.Module], done: dict[nn.Module, nn.Module]) -> nn.Module:
    """Return the R models' counterparts as one module; ``done`` holds finished ones by the first, to reuse."""
    first = modules[0]
    if first not in done:
        done[first] = _stacked_form(modules) or first
        if done[first] is first:
            for name, child in first._modules.items():  # named_children() would name a module once
                if child is not None:
                    setattr(first, name, _stack([module._modules[name] for module in modules], done))
    return done[first]


def _stacked_form(modules: Sequence[nn.Module]) -> nn.Module | None:
    """Return R modules as one; None for a module that needs no other form: a container, or a layer without weights."""
    first = modules[0]
    for cls in type(first).__mro__:
        if cls in STACKED:
            return STACKED[cls](modules)
    if _one_branch_serves(first):
        return StackedTwin(_stack([branch for twin in modules for branch in twin.branches], {}))
    own = [*first.parameters(recurse=False), *first.buffers(recurse=False)]
    if own or isinstance(first, nn.modules.dropout._DropoutNd):
        raise StackError(f"no stacked form of {type(first).__name__}")
    return None


def _one_branch_serves(module: nn.Module) -> bool:
    """Whether this is a twin whose two branches differ in nothing but their weights, and have no dropout.

    With dropout, a replica draws the left branch's masks before the right one's; in one branch they would take turns.
    """
    if type(module) is not Twin or len(module.branches) != 2:
        return False
    left, right = module.branches
    modules = [*left.modules(), *right.modules()]
    apart = len(set(modules)) == len(modules) and any(True for _ in left.parameters())
    dropout = any(isinstance(layer, nn.modules.dropout._DropoutNd) for layer in modules)
    return repr(left) == repr(right) and apart and not dropout


@torch.no_grad()
def _evaluate(model: nn.Module, pairs: Tensor) -> Heads:
    heads = model.eval()(pairs)
    model.train()
    return heads

"""Adam and SGD with momentum as torch's own fused kernels, without torch's optimiser classes.

``torch.optim.Adam(...)`` imports torch's compiler: 1.5 s, in jobs that train for a few. The kernels do not.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from twinbench.spec.training import Optimizer


class FusedOptimizer(ABC):
    """Parameters with a learning rate; ``kept`` has lists by name, with one tensor or None per parameter."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        self.parameters, self.lr = list(parameters), lr
        self.kept: dict[str, list[Tensor | None]] = {}

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that are kept from step to step, by name and not copied."""
        lists = self.kept.items()
        return {f"{name}.{i}": t for name, tensors in lists for i, t in enumerate(tensors) if t is not None}

    def reset(self) -> None:
        """Forget all steps: what is kept is 0 again."""
        for tensor in self.state().values():
            tensor.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient, and clear the gradients."""
        trained = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        lists = [self.parameters, [p.grad for p in self.parameters], *self.kept.values()]
        # torch's kernels copy a tensor that is not contiguous, and copy the result back.
        turned = {i for i in trained if self.parameters[i].dim() == 4 and not self.parameters[i].is_contiguous()}
        self.update(*([_turned(tensors[i]) if i in turned else tensors[i] for i in trained] for tensors in lists))
        for parameter in self.parameters:
            parameter.grad = None  # so that the next backward pass writes instead of adding

    @abstractmethod
    def update(self, parameters: list[Tensor], gradients: list[Tensor], *kept: list[Tensor | None]) -> None:
        """Update parameters by their gradients, and what is kept of each of them."""


class Adam(FusedOptimizer):
    """Adam (Kingma and Ba, 2015) with torch's default decay rates and epsilon."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        super().__init__(parameters, lr)
        self.first, self.second = ([torch.zeros_like(parameter) for parameter in self.parameters] for _ in range(2))
        # One tensor holds all counts: torch's Adam adds 1 to each alone, a tenth of a small model's step.
        self.counts = torch.zeros(len(self.parameters), device=self.parameters[0].device)
        self.steps = list(self.counts.unbind())
        self.kept = {"first": self.first, "second": self.second, "steps": self.steps}

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *kept: list[Tensor | None]) -> None:
        first, second, steps = kept
        if len(steps) == len(self.steps):
            self.counts += 1
        else:
            torch._foreach_add_(steps, 1)  # indexing would move indices to a GPU
        torch._fused_adam_(
            parameters, gradients, first, second, [], steps, amsgrad=False, beta1=0.9, beta2=0.999, lr=self.lr,
            weight_decay=0.0, eps=1e-8, maximize=False,
        )  # fmt: skip


class SGD(FusedOptimizer):
    """Stochastic gradient descent with heavy-ball momentum, as torch defines it."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float):
        super().__init__(parameters, lr)
        self.momentum = momentum
        # The velocity starts at 0, so the first one is the first gradient, as in torch.
        self.kept = {"velocity": [torch.zeros_like(p) if momentum else None for p in self.parameters]}

    def update(self, parameters: list[Tensor], gradients: list[Tensor], velocity: list[Tensor | None]) -> None:
        sgd(
            parameters, gradients, velocity, fused=True, has_sparse_grad=False, weight_decay=0.0,
            momentum=self.momentum, lr=self.lr, dampening=0.0, nesterov=False, maximize=False,
        )  # fmt: skip


def _turned(tensor: Tensor | None) -> Tensor | None:
    """Return a tensor of a channels_last parameter as a contiguous view; a count of steps stays as it is."""
    return tensor.permute(0, 2, 3, 1) if tensor is not None and tensor.dim() else tensor


def make_optimizer(parameters: Iterable[Tensor], settings: Optimizer) -> FusedOptimizer:
    """Return the optimiser that ``training.optimizer`` describes; its ``lr`` may be set anew before any step."""
    if settings.name == "adam":
        return Adam(parameters, settings.lr)
    return SGD(parameters, settings.lr, settings.momentum)

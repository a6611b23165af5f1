"""Adam and SGD with momentum as torch's own fused kernels, without torch's optimiser classes.

``torch.optim.Adam(...)`` imports torch's compiler: 1.5 s, in jobs that train for a few. The kernels do not.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class Adam:
    """Adam (Kingma and Ba, 2015) with torch's default decay rates and epsilon."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        self.parameters, self.lr = list(parameters), lr
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]
        # One tensor behind all counts: torch's own adds 1 to each by itself, a tenth of a small net's step.
        self.counts = torch.zeros(len(self.parameters), device=self.parameters[0].device)
        self.steps = list(self.counts.unbind())

    def state(self) -> dict[str, Tensor]:
        """Return the moments and step counts by name, the tensors themselves."""
        return _numbered(first=self.first, second=self.second, steps=self.steps)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient, and clear the gradients."""
        trained = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if len(trained) == len(self.parameters):
            self.counts += 1
        else:
            torch._foreach_add_([self.steps[index] for index in trained], 1)  # indexing would move indices to a GPU
        parameters, first, second, steps = (
            [tensors[index] for index in trained] for tensors in (self.parameters, self.first, self.second, self.steps)
        )
        gradients = [parameter.grad for parameter in parameters]
        parameters, gradients, first, second = in_memory_order(parameters, gradients, first, second)
        torch._fused_adam_(
            parameters, gradients, first, second, [], steps, amsgrad=False, beta1=0.9, beta2=0.999, lr=self.lr,
            weight_decay=0.0, eps=1e-8, maximize=False,
        )  # fmt: skip
        clear_gradients(self.parameters)


class SGD:
    """Stochastic gradient descent with heavy-ball momentum, as torch defines it."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float):
        self.parameters, self.lr, self.momentum = list(parameters), lr, momentum
        self.velocity: list[Tensor | None] = [None] * len(self.parameters)

    def state(self) -> dict[str, Tensor]:
        """Return the velocities by name; a parameter that never had a gradient, or no momentum, has none."""
        return _numbered(velocity=self.velocity)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        for index, parameter in enumerate(self.parameters):
            if (velocity := state.get(f"velocity.{index}")) is not None:
                self.velocity[index] = torch.empty_like(parameter).copy_(velocity)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient, and clear the gradients."""
        trained = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if self.momentum:  # a first velocity is the first gradient either way: torch's kernel takes no mixed list
            for index in trained:
                if self.velocity[index] is None:
                    self.velocity[index] = torch.zeros_like(self.parameters[index])
        parameters, velocity = ([tensors[index] for index in trained] for tensors in (self.parameters, self.velocity))
        gradients = [parameter.grad for parameter in parameters]
        parameters, gradients, velocity = in_memory_order(parameters, gradients, velocity)
        sgd(
            parameters, gradients, velocity, fused=True, has_sparse_grad=False, weight_decay=0.0,
            momentum=self.momentum, lr=self.lr, dampening=0.0, nesterov=False, maximize=False,
        )  # fmt: skip
        clear_gradients(self.parameters)


def _numbered(**lists: list[Tensor | None]) -> dict[str, Tensor]:
    return {f"{name}.{i}": t for name, tensors in lists.items() for i, t in enumerate(tensors) if t is not None}


def in_memory_order(parameters: list[Tensor], *others: list[Tensor | None]) -> list[list[Tensor | None]]:
    """Return lists of parameters and of what belongs to them, those in channels_last as contiguous views.

    torch's kernels copy what is not contiguous, there and back.
    """
    turned = {i for i, p in enumerate(parameters) if p.dim() == 4 and not p.is_contiguous()}
    if not turned:
        return [parameters, *others]
    return [
        [t.permute(0, 2, 3, 1) if i in turned and t is not None else t for i, t in enumerate(tensors)]
        for tensors in (parameters, *others)
    ]


def clear_gradients(parameters: Iterable[Tensor]) -> None:
    """Forget all gradients, so that the next backward pass writes instead of adding."""
    for parameter in parameters:
        parameter.grad = None


def make_optimizer(parameters: Iterable[Tensor], settings: dict) -> Adam | SGD:
    """Return the optimiser that ``training.optimizer`` describes: name, lr and, for sgd, momentum.

    Its ``lr`` may be set anew before any step.
    """
    if settings["name"] == "adam":
        return Adam(parameters, settings["lr"])
    return SGD(parameters, settings["lr"], settings["momentum"])

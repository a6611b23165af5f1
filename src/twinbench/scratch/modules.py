"""Modules with a forward and a backward pass, written out in tensor arithmetic.

Notation: B examples in a batch; L the scalar loss; the *gradient* of a tensor t has the shape of t and holds ∂L/∂t.
A module y = f(x) receives the gradient of its output y. By the chain rule, it computes the gradient of its input x,
which is the gradient of the previous module's output. So gradients travel backwards through a model, one module at a
time. A module remembers from its forward pass what its backward pass needs.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


class ModuleError(ValueError):
    """Modules do not fit together, or are used out of order; the message names the module and both shapes."""


@dataclass
class Parameter:
    """A learned value, and the gradient of the same shape that the last backward pass left."""

    value: Tensor
    gradient: Tensor | None = None


class Module:
    """A differentiable function. One forward pass, then at most one backward pass."""

    remembered: tuple[Tensor, tuple[int, ...]] | None = None  # what a backward pass needs, and the shape of the output
    output = "(the shape of its input)"  # in words, before there was an input

    def forward(self, x: Tensor) -> Tensor:
        """Return y = f(x), and remember what the backward pass needs."""
        raise NotImplementedError

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of x, given that of y; overwrite the gradients of the parameters.

        Raises:
            ModuleError: there was no forward pass since the last backward pass, or its output had another shape.
        """
        raise NotImplementedError

    def recall(self, gradient: Tensor) -> Tensor:
        """Return and forget what the forward pass remembered, if the gradient has the shape of its output.

        Raises:
            ModuleError: it remembered nothing, or the gradient has another shape.
        """
        given = f"gradient of shape {tuple(gradient.shape)}, expected"
        if self.remembered is None:
            raise ModuleError(f"{self}: backward before forward: {given} {self.output} after a forward pass")
        value, shape = self.remembered
        if gradient.shape != shape:
            raise ModuleError(f"{self}: {given} {tuple(shape)}, the shape of its output")
        self.remembered = None
        return value

    def parameters(self) -> list[Parameter]:
        """Return the parameters, in an order that never changes."""
        return []

    def __repr__(self) -> str:
        return type(self).__name__


class Linear(Module):
    """y = x W + b, from x (B, inputs) to y (B, outputs); W (inputs, outputs) and b (outputs,) are learned.

    Backward. With g = ∂L/∂y (B, outputs) and y[n,j] = Σᵢ x[n,i] W[i,j] + b[j]:

    - ∂L/∂W[i,j] = Σₙ g[n,j] ∂y[n,j]/∂W[i,j] = Σₙ x[n,i] g[n,j], so ∂L/∂W = xᵀ g: (inputs, B) (B, outputs);
    - ∂L/∂b[j] = Σₙ g[n,j]: the sum of g over the batch, (outputs,);
    - ∂L/∂x[n,i] = Σⱼ g[n,j] W[i,j], so ∂L/∂x = g Wᵀ: (B, outputs) (outputs, inputs).

    W and b start uniform on ±1/√inputs, which keeps a sum of ``inputs`` terms at the size of one.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ):
        self.inputs, self.outputs, self.output = inputs, outputs, f"(B, {outputs})"
        bound = 1 / math.sqrt(inputs)
        self.weight = Parameter(torch.empty(inputs, outputs, dtype=dtype).uniform_(-bound, bound, generator=generator))
        self.bias = Parameter(torch.empty(outputs, dtype=dtype).uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ModuleError(f"{self}: input of shape {tuple(x.shape)}, expected (B, {self.inputs})")
        self.remembered = x, (len(x), self.outputs)
        return torch.addmm(self.bias.value, x, self.weight.value)

    def backward(self, gradient: Tensor) -> Tensor:
        x = self.recall(gradient)
        self.weight.gradient = x.T @ gradient
        self.bias.gradient = gradient.sum(0)
        return gradient @ self.weight.value.T

    def parameters(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def __repr__(self) -> str:
        return f"Linear({self.inputs}, {self.outputs})"


class Activation(Module):
    """An elementwise function of any shape. Its derivative follows from its output, which it remembers."""

    def function(self, x: Tensor) -> Tensor:
        """Return y = f(x), elementwise."""
        raise NotImplementedError

    def chain(self, gradient: Tensor, y: Tensor) -> Tensor:
        """Return ∂L/∂y · f′, where f′ is written in terms of y; all three have the same shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(x)
        self.remembered = y, y.shape
        return y

    def backward(self, gradient: Tensor) -> Tensor:
        return self.chain(gradient, self.recall(gradient))


class ReLU(Activation):
    """y = max(x, 0). Its derivative is 1 where x > 0, which is where y > 0, and 0 elsewhere (at x = 0 by convention).

    Backward: y[k] depends on x[k] alone, so ∂L/∂x = g · [y > 0], elementwise, with g = ∂L/∂y.
    """

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    def chain(self, gradient: Tensor, y: Tensor) -> Tensor:
        return gradient * (y > 0)


class Tanh(Activation):
    """y = tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ). By the quotient rule its derivative is 1 − tanh² x = 1 − y².

    Backward: y[k] depends on x[k] alone, so ∂L/∂x = g · (1 − y²) = g − g y², elementwise, with g = ∂L/∂y.
    """

    def function(self, x: Tensor) -> Tensor:
        return x.tanh()

    def chain(self, gradient: Tensor, y: Tensor) -> Tensor:
        return gradient * (1 - y * y)


class Sequential(Module):
    """y = fₙ(… f₂(f₁(x))): modules one after the other.

    Backward: the gradient of fₖ's input is the gradient of fₖ₋₁'s output, so the modules' backward passes follow each
    other from the last to the first. The gradient that the first returns is that of x.

    Raises:
        ModuleError: a module takes another number of features than the one before it gives, or stands at two places:
            it could only remember the last of its inputs.
    """

    def __init__(self, *modules: Module):
        self.modules = modules
        linear = [(place, module) for place, module in enumerate(modules) if isinstance(module, Linear)]
        for (before, giver), (place, taker) in pairwise(linear):
            if giver.outputs != taker.inputs:
                raise ModuleError(
                    f"Sequential: module {place}, {taker}, takes shape (B, {taker.inputs}), "
                    f"but module {before}, {giver}, gives shape (B, {giver.outputs})"
                )
        if len({id(module) for module in modules}) < len(modules):
            raise ModuleError(f"Sequential: a module of {list(modules)} stands at two places; each needs its own")

    def forward(self, x: Tensor) -> Tensor:
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, gradient: Tensor) -> Tensor:
        for module in reversed(self.modules):
            gradient = module.backward(gradient)
        return gradient

    def parameters(self) -> list[Parameter]:
        return [parameter for module in self.modules for parameter in module.parameters()]

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.modules))})"

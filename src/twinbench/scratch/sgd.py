"""Plain stochastic gradient descent."""

from torch import Tensor

from twinbench.scratch.modules import ModuleError, Parameter


class SGD:
    """θ ← θ − lr ∂L/∂θ for every parameter θ, in place; no momentum, no decay."""

    def __init__(self, parameters: list[Parameter], lr: float):
        self.parameters, self.lr = parameters, lr

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold beside the parameters: nothing."""
        return {}

    def step(self) -> None:
        """Update every parameter by the gradient that the last backward pass left.

        Raises:
            ModuleError: there was no backward pass.
        """
        for parameter in self.parameters:
            if parameter.gradient is None:
                shape = tuple(parameter.value.shape)
                raise ModuleError(f"SGD: step before backward: parameter of shape {shape}, gradient of shape none yet")
            parameter.value.sub_(parameter.gradient, alpha=self.lr)

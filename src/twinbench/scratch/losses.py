"""The loss at the end of a model: a scalar, and the gradient that starts the backward pass."""

from torch import Tensor

from twinbench.scratch.modules import ModuleError


class LossMSE:
    """L = mean over all elements of (prediction − target)², both (B, outputs).

    Backward. With N = B · outputs elements, L = 1/N Σₖ (p[k] − t[k])², so ∂L/∂p[k] = 2/N (p[k] − t[k]): the gradient of
    the prediction is 2/N (p − t), (B, outputs).

    This is no `Module`: it takes two tensors, and receives no gradient.
    """

    difference: Tensor | None = None  # of the last forward pass, until its backward pass

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss, shape (), and remember the difference.

        Raises:
            ModuleError: the shapes differ; broadcasting would compare every prediction with every target.
        """
        if prediction.shape != target.shape:
            raise ModuleError(
                f"LossMSE: prediction of shape {tuple(prediction.shape)}, target of shape {tuple(target.shape)}"
            )
        self.difference = prediction - target
        return (self.difference * self.difference).mean()

    def backward(self) -> Tensor:
        """Return the gradient of the prediction, of its shape.

        Raises:
            ModuleError: there was no forward pass since the last backward pass.
        """
        if self.difference is None:
            raise ModuleError("LossMSE: backward before forward: prediction of shape none, target of shape none yet")
        difference, self.difference = self.difference, None
        return difference * (2 / difference.numel())

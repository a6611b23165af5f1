"""The strategy for models of `twinbench.scratch`: its backward passes and its SGD, without autograd."""

import torch
from torch import Tensor, nn

from twinbench.scratch.losses import LossMSE
from twinbench.scratch.modules import Module
from twinbench.scratch.sgd import SGD
from twinbench.spec.objectives import Stage
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import signs
from twinbench.training.replicas import LoopReplicas


class ScratchReplicas(LoopReplicas):
    """Train replicas one at a time with the framework's own modules, loss and optimiser."""

    name = "scratch"
    train_epoch = torch.no_grad()(LoopReplicas.train_epoch)
    finite = torch.no_grad()(LoopReplicas.finite)
    end = torch.no_grad()(LoopReplicas.end)

    def take(self, models: list[nn.Module]) -> None:
        self.models = models
        self.optimizers = [SGD(model.net.parameters(), self.training.optimizer.lr) for model in models]

    def step_through(self, r: int, ordered: Split, stage: Stage) -> None:
        net, optimizer, loss, size = self.models[r].net, self.optimizers[r], LossMSE(), self.training.batch_size
        optimizer.lr *= stage.weights["target"]
        inputs, targets = ordered.inputs.flatten(1), signs(ordered.target).unsqueeze(1)
        for batch in zip(inputs.split(size), targets.split(size), strict=True):
            step(net, loss, optimizer, *batch)


def step(net: Module, loss: LossMSE, optimizer: SGD, inputs: Tensor, targets: Tensor) -> Tensor:
    """Do one step of gradient descent on a batch (B, D), (B, 1); return the loss before it, shape ()."""
    value = loss.forward(net.forward(inputs), targets)
    net.backward(loss.backward())
    optimizer.step()
    return value


STRATEGY = ScratchReplicas

"""Replicas of one model: the same architecture trained on several rounds' data. The strategy here is one by one."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.spec.objectives import Objective
from twinbench.spec.training import Training
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import count_correct, loss_parts, weighted
from twinbench.training.optimizers import FusedOptimizer, make_optimizer
from twinbench.training.tuned import tune

# Pairs of a replica evaluated at once: enough to fill the machine, few enough that a layer's output stays in the cache.
# 250 take 1.09 times as long for twin-lenet, 1.07 for a residual model, 0.97 for ResNet-18 (docs/performance.md).
EVALUATION_BATCH = 125


@dataclass(frozen=True)
class ReplicaSeeds:
    """The seeds of one replica: for the weights, and for each epoch's shuffling and dropout."""

    weights: int
    epoch: Callable[[int], int]


class Replicas(ABC):
    """R replicas, as the training loop (`loop.fit`) sees them, whatever strategy trains them.

    Every epoch starts from its own seed, so a replica's result does not depend on the epoch at which a run was resumed.

    Args:
        build: makes a randomly initialised model.
        data: for each replica, its splits by name; each split has the same number of pairs in every replica.
        seeds: those of each replica.
        training, objective, decision: as in the study's file.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        data: list[dict[str, Split]],
        seeds: list[ReplicaSeeds],
        training: Training,
        objective: Objective,
        decision: str,
    ):
        self.data, self.seeds, self.training, self.decision = data, seeds, training, decision
        self.objective = objective
        self.best: list[dict[str, Tensor] | None] = [None] * len(data)
        models = []
        for splits, seed in zip(data, seeds, strict=True):
            torch.manual_seed(seed.weights)
            models.append(build().to(splits["train"].inputs.device))
        self.take(models)

    def loss_weights(self, epoch: int) -> dict[str, float]:
        """Return the weights of the loss parts in epoch ``epoch``."""
        return self.objective.stage(epoch, self.training.epochs).weights

    def set_up_epoch(self, epoch: int, model: nn.Module, optimizer: FusedOptimizer) -> None:
        """Set the parts that a model trains and its optimiser's learning rate for epoch ``epoch``."""
        set_trained_parts(model, self.objective.stage(epoch, self.training.epochs).parts)
        optimizer.lr = self.training.optimizer.lr * self.training.optimizer.decay ** (epoch - 1)

    @abstractmethod
    def take(self, models: list[nn.Module]) -> None:
        """Take over the freshly made models, one per replica."""

    @abstractmethod
    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        """Train the active replicas (mask (R,)) for one epoch; return the seconds (R,) that each took.

        A replica that is not active has ended: it is never active again.
        """

    @abstractmethod
    def evaluate(self, split: str, epoch: int, active: np.ndarray) -> list[dict[str, float]]:
        """Return a dictionary for each replica with the split's losses and accuracies; an empty one where inactive."""

    @abstractmethod
    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return the present weights of a replica, the tensors themselves."""

    @abstractmethod
    def groups(self) -> dict[str, dict[str, Tensor]]:
        """Return all tensors that training changes, except the best weights, by group and name; none is copied."""

    def checkpoint(self) -> dict[str, Tensor]:
        """Return everything that training changes, by name: weights, best weights and the optimisers' state."""
        groups = self.groups() | {f"best/{r}": best for r, best in enumerate(self.best) if best}
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def resume(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `checkpoint` returned."""
        for r in range(len(self.data)):
            keys = [key for key in tensors if key.startswith(f"best/{r}/")]
            self.best[r] = {key.rpartition("/")[2]: tensors[key] for key in keys} or None
        for key, tensor in self.checkpoint().items():
            tensor.copy_(tensors[key])

    def keep_best(self, improved: np.ndarray) -> None:
        """Remember the present weights of the replicas in the mask (R,)."""
        for r in np.flatnonzero(improved):
            self.best[r] = {name: tensor.clone() for name, tensor in self.weights(r).items()}

    def state(self) -> dict[str, Tensor]:
        """Return the best weights where some were kept, else the present ones, stacked to (R, …) on the CPU."""
        states = [best or self.weights(r) for r, best in enumerate(self.best)]
        # Move to the CPU before stacking: weights from a checkpoint are there already.
        return {name: torch.stack([state[name].cpu() for state in states]).contiguous() for name in states[0]}


class LoopReplicas(Replicas):
    """Train R replicas in turn, one epoch at a time; a replica's result does not depend on the others."""

    name = "loop"

    def take(self, models: list[nn.Module]) -> None:
        self.models = [tune(model) for model in models]
        self.optimizers = [make_optimizer(model.parameters(), self.training.optimizer) for model in models]

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        seconds = np.zeros(len(self.models))
        weights = self.loss_weights(epoch)
        for r in np.flatnonzero(active):
            start = time.perf_counter()
            torch.manual_seed(self.seeds[r].epoch(epoch))
            self.set_up_epoch(epoch, self.models[r], self.optimizers[r])
            split = self.data[r]["train"]
            # Shuffle on the CPU, so that the order is the same on every device; gather once, not in every step.
            self.step_through(r, split.take(torch.randperm(len(split.target)).to(split.target.device)), weights)
            if split.inputs.is_cuda:
                torch.cuda.synchronize()
            seconds[r] = time.perf_counter() - start
        return seconds

    def step_through(self, r: int, shuffled: Split, weights: dict[str, float]) -> None:
        """Train replica ``r`` on its shuffled examples, with these weights of the loss parts."""
        for pairs, target, digits in shuffled.batches(self.training.batch_size):
            weighted(loss_parts(self.models[r](pairs), target, digits), weights).sum().backward()
            self.optimizers[r].step()

    def evaluate(self, split: str, epoch: int, active: np.ndarray) -> list[dict[str, float]]:
        scores: list[dict[str, float]] = [{} for _ in self.models]
        for r in np.flatnonzero(active):
            batches = self.data[r][split].batches(EVALUATION_BATCH)
            (scores[r],) = evaluate_model(self.models[r], batches, self.loss_weights(epoch), self.decision)
        return scores

    def weights(self, replica: int) -> dict[str, Tensor]:
        return self.models[replica].state_dict()

    def groups(self) -> dict[str, dict[str, Tensor]]:
        models = {f"model/{r}": model.state_dict() for r, model in enumerate(self.models)}
        return models | {f"optimizer/{r}": optimizer.state() for r, optimizer in enumerate(self.optimizers)}


def set_trained_parts(model: nn.Module, parts: tuple[str, ...] | None) -> None:
    """Put the named children of a model, or all of it, into training mode, and freeze the others.

    A frozen part gets no gradient. It is in evaluation mode, so that batch norm's statistics stay as they are, too.
    """
    model.train()
    for name, child in model.named_children():
        trained = parts is None or name in parts
        child.requires_grad_(trained).train(trained)


@torch.inference_mode()
def evaluate_model(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]], weights: dict[str, float], decision: str,
    replicas: int = 1,
) -> list[dict[str, float]]:  # fmt: skip
    """Return each replica's loss parts, their weighted sum and weights, accuracy and digit accuracy.

    Args:
        model: one model, or R as one (`stacked.stack`).
        batches: pairs, targets and digits; with R replicas, a batch holds equally many pairs of each, in turn.
        weights, decision: of the objective.
        replicas: R.
    """
    model.eval()
    totals: dict[str, Tensor] = {}
    pairs_of_each = 0
    for pairs, target, digits in batches:
        heads, count = model(pairs), len(target) // replicas
        parts = loss_parts(heads, target, digits, replicas)
        means = {"loss": weighted(parts, weights)} | {f"{head}_loss": part for head, part in parts.items()}
        sums = {name: mean * count for name, mean in means.items()}
        for name, total in (sums | count_correct(heads, target, digits, decision, replicas)).items():
            totals[name] = totals.get(name, 0) + total
        pairs_of_each += count
    rows = torch.stack(list(totals.values()), dim=1).div(pairs_of_each).tolist()  # one synchronisation
    fixed = {f"{head}_weight": weight for head, weight in weights.items()}
    return [dict(zip(totals, values, strict=True)) | fixed for values in rows]

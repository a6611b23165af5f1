"""Replicas of one model: the same architecture trained on several rounds' data. One strategy is here: one by one."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.data.tensors import Split
from twinbench.training.objectives import count_correct, loss_parts, weighted
from twinbench.training.optimizers import make_optimizer
from twinbench.training.schedule import Stage, stage_at
from twinbench.training.tuned import tune

# Pairs of a replica evaluated at once: enough to fill the machine, few enough that a layer's output stays in the cache.
# 250 take 1.09 times as long for twin-lenet, 1.07 for a residual net, 0.97 for ResNet-18 (docs/performance.md).
EVALUATION_BATCH = 125


@dataclass(frozen=True)
class ReplicaSeeds:
    """Where one replica's randomness comes from: the weights, and each epoch's shuffling and dropout."""

    weights: int
    epoch: Callable[[int], int]


class Replicas(ABC):
    """R replicas, as the training loop (`loop.fit`) sees them, whatever strategy trains them.

    Every epoch starts from its own seed, so a replica's result does not depend on the epoch at which a run was resumed.

    Args:
        build: makes a randomly initialised model.
        data: for each replica, its splits by name; each split has the same number of pairs in every replica.
        seeds: where each replica's randomness comes from.
        training, objective, decision: as a study's file says.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        data: list[dict[str, Split]],
        seeds: list[ReplicaSeeds],
        training: dict,
        objective: dict,
        decision: str,
    ):
        self.data, self.seeds, self.training, self.decision = data, seeds, training, decision
        self.objective = objective
        self.best: list[dict[str, Tensor] | None] = [None] * len(data)
        models = []
        for splits, seed in zip(data, seeds, strict=True):
            torch.manual_seed(seed.weights)
            models.append(build().to(splits["train"].pairs.device))
        self.take(models)

    def stage(self, epoch: int) -> Stage:
        """Return what epoch ``epoch`` trains."""
        return stage_at(self.objective, epoch, self.training["epochs"])

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of epoch ``epoch``."""
        settings = self.training["optimizer"]
        return settings["lr"] * settings["decay"] ** (epoch - 1)

    @abstractmethod
    def take(self, models: list[nn.Module]) -> None:
        """Take over the freshly made models, one a replica."""

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
    def checkpoint(self) -> dict[str, Tensor]:
        """Return everything that training changes, by name: weights, best weights and the optimisers' state."""

    @abstractmethod
    def resume(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `checkpoint` returned."""

    def keep_best(self, improved: np.ndarray) -> None:
        """Remember the present weights of the replicas in the mask (R,)."""
        for r in np.flatnonzero(improved):
            self.best[r] = {name: tensor.clone() for name, tensor in self.weights(r).items()}

    def state(self) -> dict[str, Tensor]:
        """Return the best weights where some were kept, else the present ones, stacked to (R, …) on the CPU."""
        states = [best or self.weights(r) for r, best in enumerate(self.best)]
        # On the CPU before they are stacked: those that came from a checkpoint are there already.
        return {name: torch.stack([state[name].cpu() for state in states]).contiguous() for name in states[0]}


class LoopReplicas(Replicas):
    """Train R replicas one at a time, an epoch each in turn: a replica's result does not depend on the others."""

    name = "loop"

    def take(self, models: list[nn.Module]) -> None:
        self.models = [tune(model) for model in models]
        self.optimizers = [make_optimizer(model.parameters(), self.training["optimizer"]) for model in models]

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        seconds = np.zeros(len(self.models))
        stage = self.stage(epoch)
        for r in np.flatnonzero(active):
            start = time.perf_counter()
            torch.manual_seed(self.seeds[r].epoch(epoch))
            set_trained_parts(self.models[r], stage.parts)
            self._train_replica(r, epoch, stage.weights)
            if self.data[r]["train"].pairs.is_cuda:
                torch.cuda.synchronize()
            seconds[r] = time.perf_counter() - start
        return seconds

    def _train_replica(self, r: int, epoch: int, weights: dict[str, float]) -> None:
        model, optimizer, split = self.models[r], self.optimizers[r], self.data[r]["train"]
        optimizer.lr = self.learning_rate(epoch)
        # Shuffled on the CPU, where the order is the same whatever the device; gathered once, not in every step.
        shuffled = split.take(torch.randperm(len(split.target)).to(split.target.device))
        for pairs, target, digits in shuffled.batches(self.training["batch_size"]):
            weighted(loss_parts(model(pairs), target, digits), weights).sum().backward()
            optimizer.step()

    def evaluate(self, split: str, epoch: int, active: np.ndarray) -> list[dict[str, float]]:
        scores: list[dict[str, float]] = [{} for _ in self.models]
        weights = self.stage(epoch).weights
        for r in np.flatnonzero(active):
            batches = self.data[r][split].batches(EVALUATION_BATCH)
            (scores[r],) = evaluate_model(self.models[r], batches, weights, self.decision)
        return scores

    def weights(self, replica: int) -> dict[str, Tensor]:
        return self.models[replica].state_dict()

    def checkpoint(self) -> dict[str, Tensor]:
        tensors = {}
        for r, (model, best, optimizer) in enumerate(zip(self.models, self.best, self.optimizers, strict=True)):
            parts = {"model": model.state_dict(), "best": best or {}, "optimizer": optimizer.state()}
            tensors |= {f"{r}/{part}/{name}": t for part, named in parts.items() for name, t in named.items()}
        return tensors

    def resume(self, tensors: dict[str, Tensor]) -> None:
        parts = grouped(tensors)
        for r, (model, optimizer) in enumerate(zip(self.models, self.optimizers, strict=True)):
            model.load_state_dict(parts[f"{r}/model"])
            optimizer.load(parts.get(f"{r}/optimizer", {}))
            self.best[r] = parts.get(f"{r}/best")


def grouped(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return tensors named ``group/name``, by group and name; a group may have slashes of its own."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.rpartition("/")
        groups.setdefault(group, {})[name] = tensor
    return groups


def set_trained_parts(model: nn.Module, parts: tuple[str, ...] | None) -> None:
    """Put the named children of a model, or all of it, into training mode, and freeze the others.

    What is frozen gets no gradient and is in evaluation mode, so that batch norm's statistics stay as they are, too.
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
        batches: pairs, targets and digits; of R replicas, a batch holds as many pairs of each, one after the other.
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
        sums |= count_correct(heads, target, digits, decision, replicas)
        totals = {name: totals.get(name, 0) + value for name, value in sums.items()}
        pairs_of_each += count
    rows = torch.stack(list(totals.values()), dim=1).div(pairs_of_each).tolist()  # one synchronisation
    fixed = {f"{head}_weight": weight for head, weight in weights.items()}
    return [dict(zip(totals, values, strict=True)) | fixed for values in rows]

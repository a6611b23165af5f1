"""Replicas of one model: each is trained on one round and fold. The strategy here trains them one by one."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.spec.objectives import Objective, Stage
from twinbench.spec.training import Training
from twinbench.tasks.tables import SPLITS
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import EVALUATION_BATCH, evaluate_model, loss_parts, weighted
from twinbench.training.optimizers import FusedOptimizer, make_optimizer
from twinbench.training.tuned import tune


@dataclass(frozen=True)
class ReplicaSeeds:
    """The seeds of one replica: for weights, for each epoch's shuffling and dropout, for evaluations with dropout."""

    weights: int
    epoch: Callable[[int], int]
    evaluation: Callable[[int, str], int]  # by epoch and split


@dataclass(frozen=True)
class Assignment:
    """The data and the seeds of one replica in one leg."""

    data: dict[str, Split]  # splits by name, those that the training needs
    seeds: ReplicaSeeds
    curves: tuple[str, ...] = ()  # the splits to evaluate after every epoch, beside what stopping needs


class Replicas(ABC):
    """R replicas, as the training loop (`loop.fit`) sees them, whatever strategy trains them.

    Every epoch starts from its own seed, so a replica's result does not depend on the epoch at which a run was resumed.

    Args:
        build: makes a randomly initialised model.
        legs: in each leg, what each replica trains on, or None if it has no part in it. There is one leg, but for a
            chain of folds: there each fold is a leg, and a replica goes on with its model and optimiser. Each split has
            the same number of pairs in every replica.
        training, objective, decision: as in the study's file.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        legs: list[list[Assignment | None]],
        training: Training,
        objective: Objective,
        decision: str,
    ):
        self.legs, self.training, self.objective, self.decision = legs, training, objective, decision
        self.assignments = legs[0]
        self.best: list[dict[str, Tensor] | None] = [None] * len(legs[0])
        self.finished: list[dict[str, Tensor]] = []  # the weights (R, …) at the end of each leg, on the CPU
        models = []
        for of_replica in zip(*legs, strict=True):
            first = next(filter(None, of_replica))
            torch.manual_seed(first.seeds.weights)
            models.append(build().to(first.data["train"].inputs.device))
        self.take(models)

    def begin(self, leg: int) -> None:
        """Start leg ``leg``, counted from 0."""
        self.assignments = self.legs[leg]

    def end(self) -> None:
        """End a leg: keep the best weights where there are some, else the present ones."""
        states = [best or self.weights(r) for r, best in enumerate(self.best)]
        # Move to the CPU before stacking: weights from a checkpoint are there already.
        stacked = {name: torch.stack([state[name].cpu() for state in states]) for name in states[0]}
        self.finished.append({name: tensor.contiguous() for name, tensor in stacked.items()})

    def evaluated(self) -> dict[str, np.ndarray]:
        """Return the splits that are evaluated after every epoch, and for which replicas (mask (R,))."""
        masks = {}
        for split in dict.fromkeys([*self.training.passes, *SPLITS]):
            every = split in self.training.passes or (split == "validation" and self.training.early_stopping)
            mask = np.array([a is not None and (bool(every) or split in a.curves) for a in self.assignments])
            if mask.any():
                masks[split] = mask
        return masks

    def evaluates_in_training_mode(self, split: str) -> bool:
        """Whether a split is evaluated with the model in training mode."""
        return split in self.training.tested_in_training_mode or split in self.training.passes

    def stage(self, epoch: int) -> Stage:
        """Return the weights of the loss parts, and what is trained, in epoch ``epoch``."""
        return self.objective.stage(epoch, self.training.epochs)

    def set_up_epoch(self, epoch: int, model: nn.Module, optimizer: FusedOptimizer) -> None:
        """Set a model's modes and trained parts and its optimiser's learning rate for epoch ``epoch``."""
        stage, late = self.stage(epoch), self.training.evaluation_mode_from
        # A model that is tested in training mode never leaves it, not even in frozen parts.
        set_trained_parts(model, stage.parts, frozen_train="train" in self.training.tested_in_training_mode)
        if late and epoch >= late:
            model.eval()
        if stage.new_optimizer:
            optimizer.reset()
        optimizer.lr = self.training.optimizer.lr * self.training.optimizer.decay ** (epoch - 1)

    def order(self, pairs: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the order (pairs,) of the training pairs in one epoch; all devices get the CPU's draw."""
        return torch.randperm(pairs, generator=generator) if self.training.shuffle else torch.arange(pairs)

    @abstractmethod
    def take(self, models: list[nn.Module]) -> None:
        """Take over the freshly made models, one per replica."""

    @abstractmethod
    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        """Train the active replicas (mask (R,)) for one epoch; return the seconds (R,) that each took.

        A replica that is not active has ended: it is never active again.
        """

    @abstractmethod
    def evaluate(self, split: str, epoch: int, which: np.ndarray) -> list[dict[str, float]]:
        """Return a dictionary for each replica with the split's losses and accuracies; an empty one outside ``which``.

        ``which`` is a mask (R,) of active replicas.
        """

    @abstractmethod
    def finite(self, active: np.ndarray) -> np.ndarray:
        """Return which of the active replicas (mask (R,)) have finite weights."""

    @abstractmethod
    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return the present weights of a replica, the tensors themselves."""

    @abstractmethod
    def groups(self) -> dict[str, dict[str, Tensor]]:
        """Return all tensors that training changes, except the best weights, by group and name; none is copied."""

    def checkpoint(self) -> dict[str, Tensor]:
        """Return everything that training changes, by name: weights, best weights, optimisers' state, ended legs."""
        groups = self.groups() | {f"best/{r}": best for r, best in enumerate(self.best) if best}
        groups |= {f"finished/{leg}": weights for leg, weights in enumerate(self.finished)}
        return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def resume(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `checkpoint` returned."""

        def group(name: str) -> dict[str, Tensor]:
            keys = [key for key in tensors if key.startswith(f"{name}/")]
            return {key.removeprefix(f"{name}/"): tensors[key] for key in keys}

        self.best = [group(f"best/{r}") or None for r in range(len(self.assignments))]
        legs = {key.split("/")[1] for key in tensors if key.startswith("finished/")}
        self.finished = [group(f"finished/{leg}") for leg in range(len(legs))]
        for key, tensor in self.checkpoint().items():
            tensor.copy_(tensors[key])

    def keep_best(self, improved: np.ndarray) -> None:
        """Remember the present weights of the replicas in the mask (R,)."""
        for r in np.flatnonzero(improved):
            self.best[r] = {name: tensor.clone() for name, tensor in self.weights(r).items()}

    def drop_best(self, dropped: np.ndarray) -> None:
        """Forget the best weights of the replicas in the mask (R,)."""
        self.best = [None if drop else best for best, drop in zip(self.best, dropped, strict=True)]


class LoopReplicas(Replicas):
    """Train R replicas in turn, one epoch at a time; a replica's result does not depend on the others."""

    name = "loop"

    def take(self, models: list[nn.Module]) -> None:
        self.models = [tune(model) for model in models]
        self.optimizers = [make_optimizer(model.parameters(), self.training.optimizer) for model in models]

    def begin(self, leg: int) -> None:
        super().begin(leg)
        for r, assignment in enumerate(self.assignments):
            if leg and assignment and any(of_leg[r] for of_leg in self.legs[:leg]):
                if self.best[r]:
                    self.models[r].load_state_dict(self.best[r])
                torch.manual_seed(assignment.seeds.weights)
                reset(self.models[r], self.optimizers[r], self.training.chain.reset)
        self.best = [None] * len(self.assignments)

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        seconds = np.zeros(len(self.models))
        stage = self.stage(epoch)
        for r in np.flatnonzero(active):
            start = time.perf_counter()
            torch.manual_seed(self.assignments[r].seeds.epoch(epoch))
            self.set_up_epoch(epoch, self.models[r], self.optimizers[r])
            split = self.assignments[r].data["train"]
            # Gather the pairs in their order once, not in every step.
            self.step_through(r, split.take(self.order(len(split.target)).to(split.target.device)), stage)
            if split.inputs.is_cuda:
                torch.cuda.synchronize()
            seconds[r] = time.perf_counter() - start
        return seconds

    def step_through(self, r: int, ordered: Split, stage: Stage) -> None:
        """Train replica ``r`` on its examples in their order."""
        for pairs, target, digits in ordered.batches(self.training.batch_size):
            parts = loss_parts(self.models[r](pairs), target, digits, images=stage.digit_images)
            weighted(parts, stage.weights).sum().backward()
            self.optimizers[r].step()

    def evaluate(self, split: str, epoch: int, which: np.ndarray) -> list[dict[str, float]]:
        scores: list[dict[str, float]] = [{} for _ in self.models]
        training = self.evaluates_in_training_mode(split)
        for r in np.flatnonzero(which):
            model, assignment = self.models[r], self.assignments[r]
            pairs, size = assignment.data[split], EVALUATION_BATCH
            if split in self.training.passes:
                size = len(pairs.target)
            elif training:  # in a copy: only passes may change the model, by batch norm's statistics
                model = deepcopy(model)
            if training:
                torch.manual_seed(assignment.seeds.evaluation(epoch, split))
            model, batches = model.train(training), pairs.batches(size)
            (scores[r],) = evaluate_model(model, batches, self.stage(epoch), self.decision)
        return scores

    def finite(self, active: np.ndarray) -> np.ndarray:
        return np.array([on and all_finite(model.state_dict()) for on, model in zip(active, self.models, strict=True)])

    def weights(self, replica: int) -> dict[str, Tensor]:
        return self.models[replica].state_dict()

    def groups(self) -> dict[str, dict[str, Tensor]]:
        models = {f"model/{r}": model.state_dict() for r, model in enumerate(self.models)}
        return models | {f"optimizer/{r}": optimizer.state() for r, optimizer in enumerate(self.optimizers)}


def set_trained_parts(model: nn.Module, parts: tuple[str, ...] | None, frozen_train: bool = False) -> None:
    """Put the named children of a model, or all of it, into training mode, and freeze the others.

    A frozen part gets no gradient. It is in evaluation mode, so batch norm's statistics stay as they are; with
    ``frozen_train`` it is in training mode.
    """
    model.train()
    for name, child in model.named_children():
        trained = parts is None or name in parts
        child.requires_grad_(trained).train(trained or frozen_train)


def all_finite(tensors: dict[str, Tensor]) -> bool:
    """Return whether no tensor holds an infinite value or NaN."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def reset(model: nn.Module, optimizer: FusedOptimizer, kinds: list[str]) -> None:
    """Draw the weights of a model's layers of these kinds anew; ``optimizer`` among them resets its moments."""
    for layer in model.modules():
        if any(cls.__name__ in kinds for cls in type(layer).__mro__):  # `tune` may have made it a subclass
            layer.reset_parameters()
    if "optimizer" in kinds:
        optimizer.reset()

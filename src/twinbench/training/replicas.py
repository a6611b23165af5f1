"""Replicas of one model: the same architecture trained on several rounds' data, one after the other in each epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.data.tensors import Split
from twinbench.training.objectives import count_correct, loss_parts, weighted
from twinbench.training.optimizers import make_optimizer
from twinbench.training.schedule import Stage, stage_at

# Pairs evaluated at once: enough to fill the machine, few enough that a layer's output stays in the cache.
EVALUATION_BATCH = 250


@dataclass(frozen=True)
class ReplicaSeeds:
    """Where one replica's randomness comes from: the weights, and each epoch's shuffling and dropout."""

    weights: int
    epoch: Callable[[int], int]


class LoopReplicas:
    """Train R replicas one at a time, an epoch each in turn.

    Every epoch starts from its own seed, so a replica's result depends neither on the other replicas nor on the epoch
    at which a run was resumed.
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
        self.models = []
        self.optimizers = []
        for splits, seed in zip(data, seeds, strict=True):
            torch.manual_seed(seed.weights)
            model = build().to(splits["train"].pairs.device)
            self.models.append(model)
            self.optimizers.append(make_optimizer(model.parameters(), training["optimizer"]))
        self.best: list[dict[str, Tensor] | None] = [None] * len(data)

    def stage(self, epoch: int) -> Stage:
        """Return what epoch ``epoch`` trains."""
        return stage_at(self.objective, epoch, self.training["epochs"])

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        """Train the active replicas (mask (R,)) for one epoch; return the seconds (R,) that each took."""
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
        settings = self.training["optimizer"]
        optimizer.lr = settings["lr"] * settings["decay"] ** (epoch - 1)
        # Shuffled on the CPU, where the order is the same whatever the device; gathered once, not in every step.
        shuffled = split.take(torch.randperm(len(split.target)).to(split.target.device))
        for pairs, target, digits in shuffled.batches(self.training["batch_size"]):
            weighted(loss_parts(model(pairs), target, digits), weights).backward()
            optimizer.step()

    @torch.inference_mode()
    def evaluate(self, split: str, epoch: int, active: np.ndarray) -> list[dict[str, float]]:
        """Return a dictionary for each replica with the split's losses and accuracies; an empty one where inactive."""
        scores: list[dict[str, float]] = [{} for _ in self.models]
        weights = self.stage(epoch).weights
        for r in np.flatnonzero(active):
            scores[r] = evaluate_model(self.models[r], self.data[r][split], weights, self.decision)
        return scores

    def keep_best(self, improved: np.ndarray) -> None:
        """Remember the present weights of the replicas in the mask (R,)."""
        for r in np.flatnonzero(improved):
            self.best[r] = {name: tensor.clone() for name, tensor in self.models[r].state_dict().items()}

    def checkpoint(self) -> dict[str, Tensor]:
        """Return everything that training changes, by name: weights, best weights and the optimisers' state."""
        tensors = {}
        for r, (model, best, optimizer) in enumerate(zip(self.models, self.best, self.optimizers, strict=True)):
            parts = {"model": model.state_dict(), "best": best or {}, "optimizer": optimizer.state()}
            tensors |= {f"{r}/{part}/{name}": t for part, named in parts.items() for name, t in named.items()}
        return tensors

    def resume(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `checkpoint` returned."""
        parts: dict[tuple[int, str], dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            r, part, name = key.split("/")
            parts.setdefault((int(r), part), {})[name] = tensor
        for r, (model, optimizer) in enumerate(zip(self.models, self.optimizers, strict=True)):
            model.load_state_dict(parts[r, "model"])
            optimizer.load(parts.get((r, "optimizer"), {}))
            self.best[r] = parts.get((r, "best"))

    def state(self) -> dict[str, Tensor]:
        """Return the best weights where some were kept, else the present ones, stacked to (R, …) on the CPU."""
        states = [best or model.state_dict() for best, model in zip(self.best, self.models, strict=True)]
        return {name: torch.stack([state[name] for state in states]).cpu() for name in states[0]}


def set_trained_parts(model: nn.Module, parts: tuple[str, ...] | None) -> None:
    """Put the named children of a model, or all of it, into training mode, and freeze the others.

    What is frozen gets no gradient and is in evaluation mode, so that batch norm's statistics stay as they are, too.
    """
    model.train()
    for name, child in model.named_children():
        trained = parts is None or name in parts
        child.requires_grad_(trained).train(trained)


def evaluate_model(model: nn.Module, split: Split, weights: dict[str, float], decision: str) -> dict[str, float]:
    """Return loss parts, their weighted sum and weights, accuracy and digit accuracy of one model on one split."""
    model.eval()
    totals: dict[str, Tensor] = {}
    for pairs, target, digits in split.batches(EVALUATION_BATCH):
        heads = model(pairs)
        parts = loss_parts(heads, target, digits)
        means = {"loss": weighted(parts, weights)} | {f"{head}_loss": part for head, part in parts.items()}
        sums = {name: mean * len(target) for name, mean in means.items()}
        sums |= count_correct(heads, target, digits, decision)
        totals = {name: totals.get(name, 0) + value for name, value in sums.items()}
    values = torch.stack(list(totals.values())).div(len(split.target)).tolist()  # one synchronisation
    return dict(zip(totals, values, strict=True)) | {f"{head}_weight": weight for head, weight in weights.items()}

"""Replicas of one model: the same architecture trained on several rounds' data, one after the other in each epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.data.tensors import Split
from twinbench.training.objectives import count_correct, loss_parts, weighted
from twinbench.training.optimizers import SGD, Adam, make_optimizer

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
        objective: dict[str, float],
        decision: str,
    ):
        self.data, self.seeds, self.objective, self.decision = data, seeds, objective, decision
        self.batch_size = training["batch_size"]
        self.models = []
        self.optimizers = []
        for splits, seed in zip(data, seeds, strict=True):
            torch.manual_seed(seed.weights)
            model = build().to(splits["train"].pairs.device)
            self.models.append(model)
            self.optimizers.append(make_optimizer(model.parameters(), training["optimizer"]))
        self.best: list[dict[str, Tensor] | None] = [None] * len(data)

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        """Train the active replicas (mask (R,)) for one epoch; return the seconds (R,) that each took."""
        seconds = np.zeros(len(self.models))
        for r in np.flatnonzero(active):
            start = time.perf_counter()
            torch.manual_seed(self.seeds[r].epoch(epoch))
            self._train_replica(self.models[r], self.optimizers[r], self.data[r]["train"])
            if self.data[r]["train"].pairs.is_cuda:
                torch.cuda.synchronize()
            seconds[r] = time.perf_counter() - start
        return seconds

    def _train_replica(self, model: nn.Module, optimizer: Adam | SGD, split: Split) -> None:
        model.train()
        # Shuffled on the CPU, where the order is the same whatever the device.
        order = torch.randperm(len(split.target)).to(split.target.device)
        for batch in order.split(self.batch_size):
            parts = loss_parts(model(split.pairs[batch]), split.target[batch], split.digits[batch])
            weighted(parts, self.objective).backward()
            optimizer.step()

    @torch.inference_mode()
    def evaluate(self, split: str, active: np.ndarray) -> list[dict[str, float]]:
        """Return a dictionary for each replica with the split's losses and accuracies; an empty one where inactive."""
        scores: list[dict[str, float]] = [{} for _ in self.models]
        for r in np.flatnonzero(active):
            scores[r] = evaluate_model(self.models[r], self.data[r][split], self.objective, self.decision)
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


def evaluate_model(model: nn.Module, split: Split, objective: dict[str, float], decision: str) -> dict[str, float]:
    """Return loss parts, their weighted sum, accuracy and digit accuracy of one model on one split."""
    model.eval()
    totals: dict[str, Tensor] = {}
    for pairs, target, digits in split.batches(EVALUATION_BATCH):
        heads = model(pairs)
        parts = loss_parts(heads, target, digits)
        means = {"loss": weighted(parts, objective)} | {f"{head}_loss": part for head, part in parts.items()}
        sums = {name: mean * len(target) for name, mean in means.items()}
        sums |= count_correct(heads, target, digits, decision)
        totals = {name: totals.get(name, 0) + value for name, value in sums.items()}
    values = torch.stack(list(totals.values())).div(len(split.target)).tolist()  # one synchronisation
    return dict(zip(totals, values, strict=True))

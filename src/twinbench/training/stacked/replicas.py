"""Replicas trained all at once, as one module with stacked weights (`stack`)."""

import time
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from twinbench.spec.objectives import Stage
from twinbench.tasks.tensors import Split, join
from twinbench.training.objectives import EVALUATION_BATCH, evaluate_model, loss_parts, weighted
from twinbench.training.optimizers import make_optimizer
from twinbench.training.replicas import Replicas
from twinbench.training.stacked.layers import StackedDropout
from twinbench.training.stacked.stack import stack
from twinbench.training.tuned import tune


class StackedReplicas(Replicas):
    """Train R replicas in the same steps, each on its own pairs in its own order, with its own draws of dropout.

    - A replica draws its order from its epoch's seed, as it does alone. On a processor, its dropout too.
    - Only its own pairs and weights go into its gradient, which agrees with a training alone to float rounding.
      The number of stacked replicas can change that rounding, and nothing else.
    - A replica that ended leaves the stack: its weights stay as they are, and the others' steps take less time.
    """

    name = "stacked"

    def take(self, models: list[nn.Module]) -> None:
        self.model = tune(stack(models))
        self.optimizer = make_optimizer(self.model.parameters(), self.training.optimizer)
        self.members = np.arange(len(models))  # which replicas are in the stack, in its order
        self.ended: dict[int, dict[str, Tensor]] = {}  # the weights of the others
        self.in_turn: dict[str, Split] = {}  # splits as the stack evaluates them; they change when a replica leaves
        # A split may serve the curves of some replicas alone: the others, evaluated beside them, see any pairs.
        some = {name: split for assignment in self.assignments for name, split in assignment.data.items()}
        self.splits = {name: join([a.data.get(name, split) for a in self.assignments]) for name, split in some.items()}

    def train_epoch(self, epoch: int, active: np.ndarray) -> np.ndarray:
        self._keep(np.flatnonzero(active))
        start = time.perf_counter()
        device = self.splits["train"].inputs.device
        self.set_up_epoch(epoch, self.model, self.optimizer)
        seeds = [self.assignments[r].seeds.epoch(epoch) for r in self.members]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        pairs, size = len(self.assignments[0].data["train"].target), self.training.batch_size
        order = torch.stack([self.order(pairs, generator) for generator in generators])
        if device.type != "cpu":
            generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        for layer in self.model.modules():
            if isinstance(layer, StackedDropout):
                layer.generators = generators
        torch.manual_seed(seeds[0])  # in case a forward draws by itself
        batches = self._take("train", order, size).batches(size * len(self.members))
        self._step_through(batches, self.stage(epoch))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return np.where(active, (time.perf_counter() - start) / len(self.members), 0)

    def _step_through(self, batches: Iterable[tuple[Tensor, Tensor, Tensor]], stage: Stage) -> None:
        """Take a step per batch; nothing here waits for a GPU, or reads a value from it."""
        for pairs, target, digits in batches:
            parts = loss_parts(self.model(pairs), target, digits, len(self.members), stage.digit_images)
            losses = weighted(parts, stage.weights)
            losses.backward(torch.ones_like(losses))  # no replica's weights are in another's loss
            self.optimizer.step()

    def evaluate(self, split: str, epoch: int, which: np.ndarray) -> list[dict[str, float]]:
        count = len(self.members)
        if split not in self.in_turn:
            order = torch.arange(len(self.splits[split].target) // len(self.assignments)).expand(count, -1)
            self.in_turn[split] = self._take(split, order, EVALUATION_BATCH)
        batches = self.in_turn[split].batches(EVALUATION_BATCH * count)
        found = evaluate_model(self.model.eval(), batches, self.stage(epoch), self.decision, count)
        scores = dict(zip(self.members, found, strict=True))
        return [scores[r] if wanted else {} for r, wanted in enumerate(which)]

    def finite(self, active: np.ndarray) -> np.ndarray:
        tensors = [tensor.unflatten(0, (len(self.members), -1)) for tensor in self.model.state_dict().values()]
        of_members = torch.stack([tensor.isfinite().flatten(1).all(1) for tensor in tensors]).all(0)
        finite = np.zeros(len(active), dtype=bool)
        finite[self.members] = of_members.numpy(force=True)
        return finite

    def _take(self, split: str, order: Tensor, size: int) -> Split:
        """Return the members' pairs in their orders (members, N): ``size`` of each, one member's after the other's."""
        merged = self.splits[split]
        rows = order + order.shape[1] * torch.from_numpy(self.members).unsqueeze(1)
        index = torch.cat([batch.flatten() for batch in rows.split(size, dim=1)]).to(merged.target.device)
        return merged.take(index)

    def weights(self, replica: int) -> dict[str, Tensor]:
        if replica in self.ended:
            return self.ended[replica]
        place = int(np.flatnonzero(self.members == replica)[0])
        return {name: tensor[place] for name, tensor in self.model.state_dict().items()}

    def _keep(self, members: np.ndarray) -> None:
        """Take the replicas that are not among ``members`` out of the stack."""
        if len(members) == len(self.members):
            return
        for r in np.setdiff1d(self.members, members):
            self.ended[r] = {name: tensor.clone() for name, tensor in self.weights(r).items()}
        places = torch.from_numpy(np.flatnonzero(np.isin(self.members, members)))
        for tensor in [*self.model.parameters(), *self.model.buffers(), *self.optimizer.state().values()]:
            if tensor.dim():  # all but the optimiser's counts of steps; those of separate branches are (2R, …)
                tensor.data = tensor.data.unflatten(0, (len(self.members), -1))[places].flatten(0, 1)
        self.members = members
        self.in_turn.clear()

    def groups(self) -> dict[str, dict[str, Tensor]]:
        stack = {"members": torch.from_numpy(self.members)}
        groups = {"stack": stack, "model": self.model.state_dict(), "optimizer": self.optimizer.state()}
        return groups | {f"ended/{r}": weights for r, weights in self.ended.items()}

    def resume(self, tensors: dict[str, Tensor]) -> None:
        self._keep(tensors["stack/members"].numpy())
        super().resume(tensors)

"""A textbook's PyTorch loop, to which the options of a training are added by hand where a test is about them."""

from collections.abc import Iterable

import torch
from torch import nn

from tests.unit.made_up_replicas import made_up, seeds_of
from twinbench.architectures.twin import Twin
from twinbench.tasks.tensors import Split

PAIRS, BATCH, EPOCHS = 24, 8, 7  # 21 steps
SGD, ADAM = {"name": "sgd", "lr": 0.1, "momentum": 0.5}, {"name": "adam", "lr": 0.01}
TORCH = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.5),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
}


class Small(nn.Module):
    """A twin of one shared branch with batch norm and dropout, and both heads; in float64."""

    def __init__(self, shared: bool = True):
        super().__init__()
        self.branch = Twin(
            lambda: nn.Sequential(
                nn.Flatten(), nn.Linear(196, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 6)
            ),
            shared,
        )
        self.comparison, self.digits = nn.Linear(12, 2), nn.Linear(6, 10)
        self.double()

    def forward(self, pairs):
        features = self.branch(pairs)
        return {"target": self.comparison(features.flatten(1)), "digits": self.digits(features)}


def splits_of(replica: int) -> dict[str, Split]:
    """Training, validation and test pairs of a replica."""
    return made_up(replica, PAIRS, torch.float64) | {"test": made_up(100 + replica, PAIRS, torch.float64)["train"]}


def started(build, number: int = 0, optimizer: str = "sgd"):
    """A model with the weights that replica ``number`` starts from, and torch's optimiser."""
    torch.manual_seed(seeds_of(number).weights)
    model = build()
    return model, TORCH[optimizer](model.parameters())


def losses(
    heads, split: Split, batch: torch.Tensor, images: Iterable[int] = (0, 1), target: bool = True
) -> torch.Tensor:
    """The loss of a batch: of the target head, and of the digits of some images."""
    loss = nn.functional.cross_entropy(heads["target"], split.target[batch]) if target else 0
    for side in images:
        loss = loss + nn.functional.cross_entropy(heads["digits"][:, side], split.digits[batch, side])
    return loss


def train_epoch(model, optimizer, split: Split, seed: int, *, shuffle: bool = True, loss=losses) -> None:
    """Train for one epoch in the mode that the model is in."""
    torch.manual_seed(seed)
    order = torch.randperm(len(split.target)) if shuffle else torch.arange(len(split.target))
    for batch in order.split(BATCH):
        optimizer.zero_grad()
        loss(model(split.inputs[batch]), split, batch).backward()
        optimizer.step()


def assert_same_weights(weights: dict[str, torch.Tensor], model: nn.Module, tolerance: float = 1e-9) -> None:
    """In float64, where sums in another order differ by 1e-16, and 20 steps carry that on."""
    state = model.state_dict()
    assert set(weights) == set(state)
    for name, expected in state.items():
        torch.testing.assert_close(
            weights[name], expected, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def differs(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], kind: str = "") -> bool:
    """Whether any tensor whose name holds ``kind`` differs by more than rounding."""
    return any(not torch.allclose(one[name], other[name], rtol=1e-5) for name in one if kind in name)

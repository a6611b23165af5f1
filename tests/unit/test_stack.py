"""Stacking of structures that no shipped architecture has: which are stacked, and which are refused."""

import pytest
import torch
from torch import nn

from tests.unit.made_up_replicas import ADAM, CPU, assert_same, settings, train
from twinbench.architectures.catalog import architectures
from twinbench.architectures.twin import Twin
from twinbench.training.replicas import LoopReplicas
from twinbench.training.stacked.layers import StackedTwin, StackError
from twinbench.training.stacked.replicas import StackedReplicas
from twinbench.training.stacked.stack import stack
from twinbench.training.strategies import choose


def branch(*, drop=0.0, norm=nn.Identity):
    """A branch without dropout, or with it in two places: in one, masks would be the same in any order of drawing."""
    dropouts = [nn.Dropout(drop)] * bool(drop)
    return nn.Sequential(nn.Flatten(), *dropouts, nn.Linear(196, 12), norm(), nn.ReLU(), *dropouts, nn.Linear(12, 10))


class Net(nn.Module):
    """A twin of two separate branches and one dense layer, as an architecture has them."""

    def __init__(self, *branches):
        super().__init__()
        self.branch = Twin(iter(branches).__next__, shared=False)
        self.comparison = nn.Linear(20, 2)

    def forward(self, pairs):
        return {"target": self.comparison(self.branch(pairs).flatten(1))}


def in_common():
    layer = nn.Linear(10, 10)
    return Net(*(nn.Sequential(branch(), layer) for _ in range(2)))


@pytest.mark.parametrize(
    ("build", "as_one"),
    [
        (lambda: Net(branch(), branch()), True),
        (lambda: Net(branch(norm=lambda: nn.BatchNorm1d(12)), branch(norm=lambda: nn.BatchNorm1d(12))), True),
        (lambda: Net(branch(drop=0.5), branch(drop=0.5)), False),
        (lambda: Net(branch(), branch(norm=nn.ELU)), False),
        (in_common, False),
    ],
    ids=["plain", "batch norm", "dropout", "two structures", "a common layer"],
)
def test_branches_are_stacked_as_one_where_that_changes_nothing(build, as_one):
    stacked, loop = (train(strategy, build, count=2) for strategy in (StackedReplicas, LoopReplicas))
    assert any(isinstance(module, StackedTwin) for module in stacked[0].model.modules()) == as_one
    assert_same(stacked, loop, 1e-8)


class Reordering(nn.Module):
    """All left images before all right ones: the rows of two replicas would mix."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(196, 2)

    def forward(self, pairs):
        left, right = self.layer(torch.cat([pairs[:, 0], pairs[:, 1]]).flatten(1)).chunk(2)
        return {"target": left + right}


class Scaled(nn.Module):
    """A parameter that no stacked layer holds."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, pairs):
        return {"target": pairs[:, :, 0, 0] * self.scale}


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(196, 196), nn.Linear(196, 196)
        self.second.weight = self.first.weight

    def forward(self, pairs):
        return {"target": self.second(self.first(pairs[:, 0].flatten(1)))[:, :2]}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Reordering, "mixes or reorders"),
        (Scaled, "no stacked form of Scaled"),
        (Tied, "share a parameter"),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 1, groups=2)), "no stacked form of Conv2d"),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 1), nn.AlphaDropout(0.5)), "no stacked form of AlphaDropout"),
    ],
)
def test_what_cannot_be_stacked_is_named_and_trained_in_a_loop(build, message):
    with pytest.raises(StackError, match=message):
        stack([build(), build()])
    assert choose(build, torch.device("cuda"), settings(ADAM, batch_size=1)) is LoopReplicas


def test_the_choice():
    def chosen(name, batch_size, device=CPU, **changes):
        return choose(architectures()[name].build, device, settings(ADAM, batch_size=batch_size, **changes))

    assert chosen("dense-twin", 1) is StackedReplicas
    assert chosen("mlp-selu", 128) is StackedReplicas
    assert chosen("dense-twin", 1000) is LoopReplicas
    assert chosen("twin-lenet", 128) is LoopReplicas
    assert chosen("twin-lenet", 128, torch.device("cuda")) is StackedReplicas
    for option in (
        {"chain": {"reset": []}},
        {"passes": ["test"]},
        {"evaluation_mode_from": 2},
        {"tested_in_training_mode": ["validation"]},
    ):
        assert chosen("dense-twin", 1, **option) is LoopReplicas
    for option in ({"shuffle": False}, {"branch": "image"}, {"scaling": "split"}):
        assert chosen("dense-twin", 1, **option) is StackedReplicas

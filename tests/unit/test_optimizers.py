"""Our optimisers against torch's."""

import pytest
import torch
from torch import nn

from twinbench.spec.training import Optimizer
from twinbench.training.optimizers import make_optimizer


def test_optimizers_skip_parameters_without_gradient():
    for settings in ({"name": "adam", "lr": 0.1}, {"name": "sgd", "lr": 0.1, "momentum": 0.5}):
        used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        used.square().sum().backward()
        make_optimizer([used, unused], Optimizer(**settings)).step()
        assert (used < 1).all()
        assert (unused == 1).all()
        assert used.grad is None


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_first_gradient_may_come_late(momentum):
    """As in an objective whose target head has weight 0 at first."""
    ours, theirs = ([nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))] for _ in range(2))
    optimizers = (
        make_optimizer(ours, Optimizer(name="sgd", lr=0.1, momentum=momentum)),
        torch.optim.SGD(theirs, lr=0.1, momentum=momentum),
    )
    for used in (1, 2, 2):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            sum(parameter.square().sum() for parameter in parameters[:used]).backward()
            optimizer.step()
        optimizers[1].zero_grad()
        assert [p.tolist() for p in ours] == [pytest.approx(p.tolist(), rel=1e-6) for p in theirs]


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"name": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.5}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)),
    ],
)
def test_optimizers_of_weights_in_channels_last(settings, reference):
    torch.manual_seed(0)
    dense, weights = torch.randn(3), torch.randn(4, 3, 2, 2)
    ours = [nn.Parameter(dense), nn.Parameter(weights.contiguous(memory_format=torch.channels_last))]
    theirs = [nn.Parameter(dense.clone()), nn.Parameter(weights.clone())]
    factor = torch.randn(4, 3, 2, 2)
    for parameters, optimizer in ((ours, make_optimizer(ours, Optimizer(**settings))), (theirs, reference(theirs))):
        for _ in range(3):
            (parameters[0].square().sum() + (parameters[1] * factor).square().sum()).backward()
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    assert ours[1].is_contiguous(memory_format=torch.channels_last)

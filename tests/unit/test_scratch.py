"""The from-scratch framework against torch.autograd and torch.nn."""

import ast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.conftest import ROOT
from tests.unit.made_up_replicas import rings
from tests.unit.scratch_nets import as_ours, dense, torch_twin
from twinbench.scratch.losses import LossMSE
from twinbench.scratch.modules import Linear, ModuleError, ReLU, Sequential, Tanh
from twinbench.scratch.sgd import SGD
from twinbench.training.objectives import signs
from twinbench.training.scratch import step

ACTIVATIONS = {"relu": (ReLU, torch.relu), "tanh": (Tanh, torch.tanh)}
SIZES = st.integers(1, 40)
SEEDS = st.integers(0, 2**32)

# Hypothesis draws shapes and seeds; a first example may pay for torch's start-up, hence no deadline.
examples = settings(max_examples=60, deadline=None)


def normal(*shape: int, seed: int) -> Tensor:
    """Return float64 numbers of a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    """Compare to 1e-6 relative to the tensor's own size.

    Relative to the whole tensor, not to each element: an element that is a difference of large terms may lose digits.
    """
    assert ours.shape == theirs.shape
    assert torch.linalg.vector_norm(ours - theirs) <= 1e-6 * torch.linalg.vector_norm(theirs)


def leaf(tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_()


@examples
@given(batch=SIZES, inputs=SIZES, outputs=SIZES, seed=SEEDS)
def test_linear_gradients_equal_autograd(batch, inputs, outputs, seed):
    module = Linear(inputs, outputs, torch.Generator().manual_seed(seed), torch.float64)
    x, gradient = normal(batch, inputs, seed=seed + 1), normal(batch, outputs, seed=seed + 2)
    their_x, weight, bias = leaf(x), leaf(module.weight.value), leaf(module.bias.value)
    theirs = nn.functional.linear(their_x, weight.T, bias)
    theirs.backward(gradient)
    assert_same(module.forward(x), theirs.detach())
    assert_same(module.backward(gradient), their_x.grad)
    assert_same(module.weight.gradient, weight.grad)
    assert_same(module.bias.gradient, bias.grad)


@examples
@given(name=st.sampled_from(sorted(ACTIVATIONS)), shape=st.lists(SIZES, min_size=1, max_size=3), seed=SEEDS)
def test_activation_gradients_equal_autograd(name, shape, seed):
    ours, theirs = ACTIVATIONS[name]
    x, gradient = normal(*shape, seed=seed), normal(*shape, seed=seed + 1)
    x.view(-1)[::5] = 0.0  # where ReLU has no derivative, torch and we both take 0
    their_x, module = leaf(x), ours()
    output = theirs(their_x)
    output.backward(gradient)
    assert_same(module.forward(x), output.detach())
    assert_same(module.backward(gradient), their_x.grad)


@examples
@given(batch=SIZES, outputs=SIZES, seed=SEEDS)
def test_mse_gradient_equals_autograd(batch, outputs, seed):
    prediction, target = normal(batch, outputs, seed=seed), normal(batch, outputs, seed=seed + 1)
    theirs, loss = leaf(prediction), LossMSE()
    value = nn.functional.mse_loss(theirs, target)
    value.backward()
    assert_same(loss.forward(prediction, target), value.detach())
    assert_same(loss.backward(), theirs.grad)


@examples
@given(
    batch=SIZES, sizes=st.lists(SIZES, min_size=2, max_size=5), name=st.sampled_from(sorted(ACTIVATIONS)), seed=SEEDS
)
def test_sequential_gradients_equal_autograd(batch, sizes, name, seed):
    generator = torch.Generator().manual_seed(seed)
    net = dense(sizes[0], sizes[1:], name, generator)
    twin = torch_twin(net)
    x, gradient = normal(batch, sizes[0], seed=seed + 1), normal(batch, 1, seed=seed + 2)
    their_x = leaf(x)
    output = twin(their_x)
    output.backward(gradient)
    assert_same(net.forward(x), output.detach())
    assert_same(net.backward(gradient), their_x.grad)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert_same(ours.gradient, theirs.grad if theirs.ndim == 1 else theirs.grad.T)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_steps_track_torchs(activation):
    """200 steps of float64 rounding differ by some 1e-13; a wrong gradient differs at once by far more than 1e-9."""
    net = dense(2, [16, 16], activation, torch.Generator().manual_seed(3))
    data, lr = rings(200, seed=0), 0.05
    inputs, targets = data.inputs, signs(data.target).double().unsqueeze(1)
    twin, loss, ours = torch_twin(net), LossMSE(), SGD(net.parameters(), lr)
    theirs = torch.optim.SGD(twin.parameters(), lr)
    before = loss.forward(net.forward(inputs), targets)
    for number in range(200):
        batch = torch.arange(20 * number, 20 * number + 20) % 200
        value = step(net, loss, ours, inputs[batch], targets[batch])
        expected = nn.functional.mse_loss(twin(inputs[batch]), targets[batch])
        theirs.zero_grad()
        expected.backward()
        theirs.step()
        assert value.item() == pytest.approx(expected.item(), rel=1e-9)
        for parameter, other in zip(net.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(parameter.value, as_ours(other), rtol=1e-9, atol=1e-9)
    assert loss.forward(net.forward(inputs), targets) < 0.8 * before  # both moved, and learned


def test_wrong_shapes_name_the_module_and_both_shapes():
    net = Sequential(Linear(2, 5), ReLU(), Linear(5, 1))
    with pytest.raises(ModuleError, match=r"Linear\(2, 5\): input of shape \(4, 3\), expected \(B, 2\)"):
        net.forward(torch.ones(4, 3))
    with pytest.raises(ModuleError, match=r"Linear\(2, 5\): input of shape \(2,\), expected \(B, 2\)"):
        net.forward(torch.ones(2))
    net.forward(torch.ones(4, 2))
    with pytest.raises(ModuleError, match=r"Linear\(5, 1\): gradient of shape \(4, 2\), expected \(4, 1\)"):
        net.backward(torch.ones(4, 2))
    tanh = Tanh()
    tanh.forward(torch.ones(4, 2))
    with pytest.raises(ModuleError, match=r"Tanh: gradient of shape \(4, 1\), expected \(4, 2\)"):
        tanh.backward(torch.ones(4, 1))  # would broadcast
    with pytest.raises(ModuleError, match=r"LossMSE: prediction of shape \(4, 1\), target of shape \(4,\)"):
        LossMSE().forward(torch.ones(4, 1), torch.ones(4))  # would broadcast to (4, 4)


def test_layers_that_do_not_fit_are_refused_when_they_are_joined():
    expected = r"module 2, Linear\(6, 1\), takes shape \(B, 6\), but module 0, Linear\(2, 5\), gives shape \(B, 5\)"
    with pytest.raises(ModuleError, match=expected):
        Sequential(Linear(2, 5), ReLU(), Linear(6, 1))
    relu = ReLU()
    with pytest.raises(ModuleError, match="two places"):
        Sequential(Linear(2, 5), relu, Linear(5, 5), relu)


def test_backward_before_forward_names_the_module_and_both_shapes():
    for module, name, expected in ((Linear(2, 5), r"Linear\(2, 5\)", r"\(B, 5\)"), (ReLU(), "ReLU", "of its input"),
                                   (Tanh(), "Tanh", "of its input"),
                                   (Sequential(Linear(2, 5)), r"Linear\(2, 5\)", r"\(B, 5\)")):  # fmt: skip
        pattern = rf"{name}: backward before forward: gradient of shape \(4, 5\), expected .*{expected}"
        with pytest.raises(ModuleError, match=pattern):
            module.backward(torch.ones(4, 5))
    with pytest.raises(ModuleError, match="LossMSE: backward before forward: .*shape none.*shape none"):
        LossMSE().backward()
    with pytest.raises(ModuleError, match=r"SGD: step before backward: parameter of shape \(2, 5\)"):
        SGD(Linear(2, 5).parameters(), 0.1).step()
    module = Linear(2, 5)  # one forward pass allows one backward pass
    module.forward(torch.ones(4, 2))
    module.backward(torch.ones(4, 5))
    with pytest.raises(ModuleError, match="backward before forward"):
        module.backward(torch.ones(4, 5))


def test_the_framework_uses_tensor_arithmetic_only():
    used, imported = set(), set()
    for name in ("modules", "losses", "sgd"):
        for node in ast.walk(ast.parse((ROOT / f"src/twinbench/scratch/{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch":
                used.add(node.attr)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("torch"):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert used == {"Generator", "addmm", "dtype", "empty", "float32"}
    assert imported == {"torch.Tensor"}

"""The from-scratch framework against torch.autograd and torch.nn."""

import json
import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from twinbench.scratch.disc import draw_points
from twinbench.scratch.disc_inputs import disc_examples
from twinbench.scratch.losses import LossMSE
from twinbench.scratch.modules import Linear, ModuleError, ReLU, Sequential, Tanh
from twinbench.scratch.sgd import SGD
from twinbench.scratch.train import Examples, build, evaluate, fit, step, train_rounds
from twinbench.seeds import derive_seed

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
    net = build(sizes[0], sizes[1:], name, generator, torch.float64)
    twin = torch_twin(net)
    x, gradient = normal(batch, sizes[0], seed=seed + 1), normal(batch, 1, seed=seed + 2)
    their_x = leaf(x)
    output = twin(their_x)
    output.backward(gradient)
    assert_same(net.forward(x), output.detach())
    assert_same(net.backward(gradient), their_x.grad)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert_same(ours.gradient, theirs.grad if theirs.ndim == 1 else theirs.grad.T)


def torch_twin(net: Sequential) -> nn.Sequential:
    """Return the torch.nn net with the same weights; torch keeps them transposed, (outputs, inputs)."""
    layers = []
    for module in net.modules:
        if isinstance(module, Linear):
            layer = nn.Linear(module.inputs, module.outputs, dtype=module.weight.value.dtype)
            layer.weight.data, layer.bias.data = module.weight.value.T.clone(), module.bias.value.clone()
            layers.append(layer)
        else:
            layers.append({ReLU: nn.ReLU, Tanh: nn.Tanh}[type(module)]())
    return nn.Sequential(*layers)


def rings(count: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Examples:
    """Return points and whether they are within 1 of the origin, as ±1."""
    points = normal(count, 2, seed=seed)
    inside = (points**2).sum(1, keepdim=True) < 1
    return Examples(points.to(dtype), (2.0 * inside - 1).to(dtype))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_training_tracks_torch_step_for_step(activation):
    """200 steps of float64 rounding differ by some 1e-13; a wrong gradient differs at once by far more than 1e-9."""
    net = build(2, [16, 16], activation, torch.Generator().manual_seed(3), torch.float64)
    twin, data, lr = torch_twin(net), rings(200), 0.05
    loss, ours = LossMSE(), SGD(net.parameters(), lr)
    before = evaluate(net, data)["loss"]
    for number in range(200):
        batch = torch.arange(20 * number, 20 * number + 20) % 200
        inputs, targets = data.inputs[batch], data.targets[batch]
        value = step(net, loss, ours, inputs, targets)
        theirs = nn.functional.mse_loss(twin(inputs), targets)
        twin.zero_grad()
        theirs.backward()
        assert value.item() == pytest.approx(theirs.item(), rel=1e-9)
        with torch.no_grad():
            for parameter, other in zip(net.parameters(), twin.parameters(), strict=True):
                other -= lr * other.grad
                expected = other if other.ndim == 1 else other.T
                assert torch.allclose(parameter.value, expected, rtol=1e-9, atol=1e-9)
    assert evaluate(net, data)["loss"] < 0.8 * before  # both moved, and learned


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_whole_run_equals_the_same_run_in_torch(activation):
    """`fit` with its own shuffles against torch.nn fed in the same order: the same losses after every epoch."""
    net = build(2, [16, 16], activation, torch.Generator().manual_seed(4), torch.float64)
    twin, splits = torch_twin(net), {"train": rings(150), "test": rings(70, seed=1)}
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    training, seeds = {"epochs": 6, "batch_size": 16, "lr": 0.05}, {"base": 5, "round": 1}
    run = fit(net, splits, training, seeds)
    rows = {(row["epoch"], row["split"]): row for row in run.history}
    assert len(rows) == 6 * 2
    for epoch in range(1, 7):
        generator = torch.Generator().manual_seed(derive_seed(5, round=1, purpose="epoch", epoch=epoch))
        for batch in torch.randperm(150, generator=generator).split(16):
            optimizer.zero_grad()
            nn.functional.mse_loss(twin(splits["train"].inputs[batch]), splits["train"].targets[batch]).backward()
            optimizer.step()
        for name, split in splits.items():
            with torch.no_grad():
                output = twin(split.inputs)
            expected = nn.functional.mse_loss(output, split.targets).item()
            assert rows[epoch, name]["loss"] == pytest.approx(expected, rel=1e-9)
            correct = (output > 0) == (split.targets > 0)
            assert rows[epoch, name]["accuracy"] == pytest.approx(correct.double().mean().item())


class GradientWatch(TorchFunctionMode):
    """Look at every tensor that goes into a torch function or comes out of one."""

    def __init__(self):
        super().__init__()
        self.calls, self.tracked, self.enabled = 0, 0, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        # Switching autograd off is a torch function too: what counts is what runs in between.
        if "set_grad_enabled" not in getattr(function, "__name__", ""):
            flat = [*args, *(kwargs or {}).values(), result]
            flat += [item for value in flat if isinstance(value, tuple | list) for item in value]
            self.calls += 1
            with torch._C.DisableTorchFunction():
                self.tracked += sum(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in flat)
                self.enabled += torch.is_grad_enabled()
        return result


def test_no_tensor_ever_requires_grad(tmp_path):
    data = {0: {"train": rings(60, torch.float32), "test": rings(40, torch.float32)}}
    cell = {"seed": 1, "hidden": [8, 8], "activation": "tanh"}
    cell["training"] = {"epochs": 3, "batch_size": 10, "lr": 0.01}
    outputs = {name: tmp_path / name for name in ("history", "predictions", "record")}
    with GradientWatch() as watch:
        train_rounds(cell, data, 0.0, **outputs)
    assert watch.calls > 3 * 6 * 10  # three epochs of six steps, each of many operations
    assert watch.tracked == 0
    assert watch.enabled == 0, "autograd was on during the training"
    assert torch.is_grad_enabled(), "the training left autograd switched off for others"

    with GradientWatch() as watch:  # the watch does see what it looks for
        nn.Linear(2, 1)(torch.ones(1, 2)).sum().backward()
    assert watch.tracked > 0
    assert watch.enabled > 0


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_nets_learn(activation):
    """Tanh too, which the report's did not: far from the 50 % of guessing on new points."""
    points = draw_points({"train": 1000, "test": 1000}, seed=7, rounds=range(1))
    splits = disc_examples(points, standardise=True)[0]
    net = build(2, [64, 64], activation, torch.Generator().manual_seed(0))
    fit(net, splits, {"epochs": 30, "batch_size": 10, "lr": 0.01}, {"base": 7})
    assert evaluate(net, splits["test"])["accuracy"] > 0.9


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


def test_a_diverging_learning_rate_ends_as_a_row(tmp_path):
    data = {3: {"train": rings(100, torch.float32), "test": rings(50, torch.float32)}}
    cell = {"seed": 1, "hidden": [8, 8], "activation": "relu"}
    cell["training"] = {"epochs": 30, "batch_size": 10, "lr": 100.0}
    outputs = {name: tmp_path / name for name in ("history", "predictions", "record")}
    train_rounds(cell, data, 0.0, **outputs)
    record = json.loads(outputs["record"].read_text())
    (ended,) = record["rounds"]
    history = pd.read_parquet(outputs["history"])
    last = history["epoch"].max()
    assert last < 30
    assert ended["status"] == "diverged"
    assert ended["reason"] == f"diverged at epoch {last}"
    train = history[history["split"] == "train"].set_index("epoch")["loss"]
    assert not math.isfinite(train[last])
    assert all(math.isfinite(value) for value in train[train.index < last])
    predictions = pd.read_parquet(outputs["predictions"])
    assert predictions.empty
    assert list(predictions.columns) == ["round", "split", "point", "label", "output"]


def test_rounds_do_not_depend_on_each_other(tmp_path):
    data = {r: {"train": rings(60, torch.float32, r), "test": rings(40, torch.float32, r + 9)} for r in (0, 1)}
    cell = {"seed": 1, "hidden": [8], "activation": "relu"}
    cell["training"] = {"epochs": 2, "batch_size": 10, "lr": 0.01}
    together, alone = (
        {name: tmp_path / f"{which}-{name}" for name in ("history", "predictions", "record")} for which in "ab"
    )
    train_rounds(cell, data, 0.0, **together)
    train_rounds(cell, {1: data[1]}, 0.0, **alone)
    both = pd.read_parquet(together["predictions"]).query("round == 1").reset_index(drop=True)
    pd.testing.assert_frame_equal(both, pd.read_parquet(alone["predictions"]), check_exact=True)

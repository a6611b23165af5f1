"""Each report's models against torch.nn.functional, written from the orders of layers in the authors' code.

All in float64. In training mode, both sides draw from the same state of torch's generator: outputs agree only if
dropouts have the same rates, kinds and places.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from twinbench.architectures.catalog import architectures

# A few thousand products, which may be summed in another order: 1e-16 each.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}


def build(name, **options):
    torch.manual_seed(0)
    return architectures()[name].build(**options).double()


def pairs(count=6):
    return torch.randn(count, 2, 14, 14, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def images(count=6):
    return pairs(count)[:, :1]


def assert_draws_alike(module, function, x):
    """Assert that a module in training mode and a function of its input and parameters give the same output and gradients."""
    found = []
    for compute in (module.train(), lambda x: function(x, *module.parameters())):
        torch.manual_seed(2)
        output = compute(x)
        found.append((output, *torch.autograd.grad(output.square().sum(), list(module.parameters()))))
    assert torch.is_nonzero(found[0][0].abs().sum())
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)


# Report 1


def selu_block(x, weight, bias):
    return F.max_pool2d(F.selu(F.conv2d(x, weight, bias, padding=2)), 2)


def batch_norm(x, scale, shift):
    return F.batch_norm(x, None, None, scale, shift, training=True)


def test_the_siamese_selu_branch():
    def function(x, w1, b1, g1, h1, w2, b2, g2, h2, w3, b3, w4, b4):
        x = batch_norm(selu_block(x, w1, b1), g1, h1)
        x = batch_norm(selu_block(x, w2, b2), g2, h2)
        return F.linear(F.linear(x.flatten(1), w3, b3), w4, b4)

    for name in ("siamese-classes-selu", "siamese-targets-selu"):
        assert_draws_alike(build(name).branch.branches[0], function, images())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_convnet_with_batch_norm(dropout):
    def function(x, w1, b1, g1, h1, w2, b2, g2, h2, w3, b3, w4, b4, w5, b5):
        x = batch_norm(selu_block(x, w1, b1), g1, h1)
        x = batch_norm(selu_block(x, w2, b2), g2, h2)
        x = F.dropout(selu_block(x, w3, b3).flatten(1), dropout)
        return F.linear(F.linear(x, w4, b4), w5, b5)

    assert_draws_alike(build("convnet-selu", dropout=dropout).layers, function, pairs())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_convnet_without_batch_norm(dropout):
    def function(x, w1, b1, w2, b2, w3, b3, w4, b4, w5, b5):
        x = selu_block(selu_block(selu_block(x, w1, b1), w2, b2), w3, b3)
        return F.linear(F.linear(F.dropout(x.flatten(1), dropout), w4, b4), w5, b5)

    assert_draws_alike(build("convnet-selu", batch_norm=False, dropout=dropout).layers, function, pairs())


def test_the_linear_siamese_model():
    def function(x, w1, b1, w2, b2, w3, b3):
        x = F.conv2d(F.conv2d(x, w1, b1, padding=2), w2, b2, padding=2)
        return F.linear(x.flatten(1), w3, b3)

    branch = build("siamese-linear").branch.branches[0]
    assert_draws_alike(branch, function, images())
    x, y = images(12).chunk(2)
    torch.testing.assert_close(branch(x) + branch(y) - branch(0 * x), branch(x + y), **TOLERANCE)


# Report 2


def budget_convolutions(x, w1, b1, scale, shift, w2, b2):
    """One scale and shift serve both batch norms."""
    x = batch_norm(F.dropout2d(F.conv2d(x, w1, b1, padding=1), 0.5), scale, shift)
    x = F.max_pool2d(F.relu(x), 2, stride=2, padding=1)
    x = batch_norm(F.dropout2d(F.conv2d(x, w2, b2, padding=1), 0.5), scale, shift)
    return F.max_pool2d(F.relu(x), 2, stride=1, padding=1).flatten(1)


@pytest.mark.parametrize("shared", [True, False])
def test_the_budget_branches(shared):
    def function(x, w1, b1, scale, shift, w2, b2, w3, b3, w4, b4):
        x = F.dropout(budget_convolutions(x, w1, b1, scale, shift, w2, b2), 0.5)
        return F.linear(F.dropout(F.relu(F.linear(x, w3, b3)), 0.5), w4, b4)

    for branch in build("parameter-budget", shared=shared).branch.branches:
        assert_draws_alike(branch, function, images())


def test_the_deep_budget_branch():
    def function(x, w1, b1, scale, shift, w2, b2, w3, b3, w4, b4, w5, b5):
        x = F.dropout(budget_convolutions(x, w1, b1, scale, shift, w2, b2), 0.5)
        x = F.linear(F.relu(F.linear(x, w3, b3)), w4, b4)
        return F.linear(F.dropout(x, 0.5), w5, b5)

    assert_draws_alike(build("parameter-budget", deep=True).branch.branches[0], function, images())


@pytest.mark.parametrize("deep", [False, True])
def test_the_budget_models_digit_losses_see_what_comes_before_the_relu(deep):
    model = build("parameter-budget", deep=deep).eval()
    heads = model(pairs())
    assert (heads["digits"] < 0).any()
    weight, bias = model.comparison.parameters()
    torch.testing.assert_close(heads["target"], F.linear(F.relu(heads["digits"].flatten(1)), weight, bias), **TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"deep": True}, {"shared": False}], ids=["shared", "deep", "separate"])
def test_one_batch_norm_serves_a_budget_model(options):
    model = build("parameter-budget", **options)
    assert len({module for module in model.modules() if isinstance(module, nn.BatchNorm2d)}) == 1
    for branch in model.branch.branches:
        assert sum(isinstance(layer, nn.BatchNorm2d) for layer in branch) == 2


# Report 3


def lenet_convolutions(x, w1, b1, w2, b2, dropout=0.3):
    x = F.dropout2d(F.relu(F.max_pool2d(F.conv2d(x, w1, b1), 2)), dropout)
    return F.dropout2d(F.relu(F.max_pool2d(F.conv2d(x, w2, b2), 2)), dropout).flatten(1)


def lenet_dense(x, w1, b1, w2, b2, dropout=0.3):
    """Without the last dropout."""
    return F.relu(F.linear(F.dropout(F.relu(F.linear(x, w1, b1)), dropout), w2, b2))


def test_the_dense_model_of_report_3():
    def function(x, w1, b1, w2, b2, w3, b3, w4, b4, w5, b5):
        x = x.flatten(1)
        for weight, bias in ((w1, b1), (w2, b2), (w3, b3), (w4, b4)):
            x = F.relu(F.linear(x, weight, bias))
        return F.linear(x, w5, b5)

    assert_draws_alike(build("mlp-relu").layers, function, pairs())


def test_the_first_convolutional_model_with_relu_before_pooling():
    """As in the authors' code; ours has it behind, which is the same function with the same gradient."""

    def function(x, w1, b1, w2, b2, w3, b3, w4, b4, w5, b5):
        x = F.dropout2d(F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2), 0.3)
        x = F.dropout2d(F.max_pool2d(F.relu(F.conv2d(x, w2, b2)), 2), 0.3).flatten(1)
        return F.linear(F.dropout(lenet_dense(x, w3, b3, w4, b4), 0.3), w5, b5)

    assert_draws_alike(build("lenet-pair").layers, function, pairs())


@pytest.mark.parametrize("comparison_dropout", [True, False])
def test_the_parts_of_the_model_with_two_heads(comparison_dropout):
    model, rate = build("lenet-two-heads", comparison_dropout=comparison_dropout), 0.3 * comparison_dropout
    features = torch.randn(6, 2, 256, dtype=torch.float64)
    assert_draws_alike(model.convolutions.branches[0], lenet_convolutions, images())
    assert_draws_alike(model.dense, lambda x, *parameters: F.dropout(lenet_dense(x, *parameters), rate), features)
    assert_draws_alike(model.digits, lambda x, w, b: F.linear(F.dropout(x, 0.3 - rate), w, b), features[:, :, :84])
    assert_draws_alike(
        model.comparison,
        lambda x, w1, b1, w2, b2: F.linear(F.relu(F.linear(x, w1, b1)), w2, b2),
        features[:, :, :84].flatten(1),
    )


@pytest.mark.parametrize("name", ["lenet-features", "lenet-two-heads", "lenet-digits"])
def test_the_heads_of_report_3_see_the_features(name):
    model = build(name).eval()
    heads, sides = model(pairs()), []
    for side in (0, 1):
        maps = lenet_convolutions(pairs()[:, side, None], *model.convolutions.parameters(), dropout=0.0)
        sides.append(lenet_dense(maps, *model.dense.parameters(), dropout=0.0))
    if "digits" in heads:
        expected = torch.stack([F.linear(side, *model.digits.parameters()) for side in sides], dim=1)
        torch.testing.assert_close(heads["digits"], expected, **TOLERANCE)
    if "target" in heads:
        w1, b1, w2, b2 = model.comparison.parameters()
        expected = F.linear(F.relu(F.linear(torch.cat(sides, dim=1), w1, b1)), w2, b2)
        torch.testing.assert_close(heads["target"], expected, **TOLERANCE)


def test_the_digit_model_has_no_dropout_unless_asked():
    assert {layer.p for layer in dropouts(build("lenet-digits"))} == {0.0}
    assert {layer.p for layer in dropouts(build("lenet-digits", dropout=0.3))} == {0.3}


def dropouts(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]


# Report 4


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("between", "active"), [("none", (0, 0)), ("second", (0, 1)), ("both", (1, 1))])
def test_the_convolutional_branches(between, active, kernel):
    model = build("conv-twin", shared=False, channels=8, kernel=kernel, activation_between=between)

    def function(is_active, x, w1, b1, w2, b2, w3, b3, w4, b4):
        x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding="same")), 3, stride=3)
        x = F.max_pool2d(F.relu(F.conv2d(x, w2, b2, padding="same")), 3, stride=3)
        x = F.linear(x.flatten(1), w3, b3)
        return F.linear(F.relu(x) if is_active else x, w4, b4)

    for branch, is_active in zip(model.branch.branches, active, strict=True):
        assert_draws_alike(branch, partial(function, is_active), images())


@pytest.mark.parametrize("name", ["dense-twin", "conv-twin"])
def test_the_comparison_of_report_4_sees_the_logits_as_they_are(name):
    model = build(name)
    heads = model(pairs())
    w1, b1, w2, b2, w3, b3 = model.comparison.parameters()
    x = F.relu(F.linear(heads["digits"].flatten(1), w1, b1))
    torch.testing.assert_close(heads["target"], F.linear(F.relu(F.linear(x, w2, b2)), w3, b3), **TOLERANCE)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_dense_branch(dropout):
    def function(x, w1, b1, w2, b2, w3, b3):
        x = F.dropout(F.relu(F.linear(x.flatten(1), w1, b1)), dropout)
        return F.linear(F.dropout(F.relu(F.linear(x, w2, b2)), dropout), w3, b3)

    model = build("dense-twin", dropout=dropout)
    assert_draws_alike(model.branch.branches[0], function, images())
    assert len(dropouts(model)) == (2 if dropout else 0)


def test_the_model_of_convolutions_only():
    def function(x, w1, b1, w2, b2):
        return F.conv2d(F.max_pool2d(F.conv2d(x, w1, b1), 3, stride=3), w2, b2).flatten(1)

    assert_draws_alike(build("conv-only").branch.branches[0], function, images())


# Report 5, and the assignment


@pytest.mark.parametrize("dropout", [0.25, 0.5])
def test_the_twin_lenets_branch_and_comparison(dropout):
    def branch(x, w1, b1, w2, b2, w3, b3, scale, shift, w4, b4):
        x = F.avg_pool2d(F.relu(F.conv2d(x, w1, b1)), 2)
        x = F.avg_pool2d(F.relu(F.conv2d(x, w2, b2)), 2)
        x = F.relu(batch_norm(F.linear(x.flatten(1), w3, b3), scale, shift))
        return F.linear(F.dropout(x, dropout), w4, b4)

    def comparison(x, w1, b1, scale, shift, w2, b2):
        x = F.relu(batch_norm(F.linear(F.relu(x), w1, b1), scale, shift))
        return F.linear(F.dropout(x, dropout), w2, b2)

    model = build("twin-lenet", dropout=dropout)
    assert_draws_alike(model.branch.branches[0], branch, images())
    assert_draws_alike(model.comparison, comparison, torch.randn(6, 20, dtype=torch.float64))


def test_the_plain_convnet():
    def function(x, w1, b1, w2, b2, w3, b3, w4, b4):
        x = F.relu(F.max_pool2d(F.conv2d(x, w1, b1), 2))
        x = F.relu(F.max_pool2d(F.conv2d(x, w2, b2), 2)).flatten(1)
        return F.linear(F.relu(F.linear(x, w3, b3)), w4, b4)

    assert_draws_alike(build("plain-convnet").layers, function, pairs())

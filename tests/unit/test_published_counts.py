"""The size of each report's models: published, ours, and by hand."""

from itertools import pairwise

import pytest

from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import count_parameters
from twinbench.architectures.dense_vs_conv import width_within


def build(name, **options):
    return architectures()[name].build(**options)


def conv(inputs, outputs, kernel):
    """Parameters of a convolution."""
    return inputs * outputs * kernel**2 + outputs


def dense(*widths):
    """Parameters of dense layers."""
    return sum(a * b + b for a, b in pairwise(widths))


SELU_BRANCH = conv(1, 8, 3) + conv(8, 16, 5) + dense(256, 100, 10)
BUDGET_CONV = conv(1, 16, 3) + conv(16, 16, 2)
LENET_DENSE, COMPARISON = dense(256, 120, 84), dense(168, 20, 2)
LENET = conv(1, 32, 3) + conv(32, 64, 3) + LENET_DENSE
TWIN_LENET = conv(1, 16, 3) + conv(16, 32, 3) + dense(128, 32) + 2 * 32 + dense(32, 10)


def conv_twin(channels):
    """Parameters of report 4's convolutional branch."""
    return conv(1, channels, 5) + conv(channels, 2 * channels, 5) + dense(2 * channels, 50, 10)


@pytest.mark.parametrize(
    ("name", "options", "by_hand", "published"),
    [
        ("mlp-selu", {}, dense(392, 64, 32, 2) + 2 * 64 + 2 * 32, 27_490),
        ("convnet-selu", {}, conv(2, 16, 4) + conv(16, 32, 5) + conv(32, 64, 3) + 2 * 16 + 2 * 32 + dense(256, 100, 2), 57_854),
        ("convnet-selu", {"dropout": 0.5}, 57_854, 57_854),
        ("convnet-selu", {"batch_norm": False}, 57_854 - 2 * 16 - 2 * 32, None),
        ("convnet-selu", {"batch_norm": False, "dropout": 0.5}, 57_854 - 2 * 16 - 2 * 32, None),
        # The published 30,006 and 30,048 leave out the 2·8 + 2·16 parameters of batch norm.
        ("siamese-classes-selu", {}, SELU_BRANCH + 48, 30_006 + 48),
        ("siamese-targets-selu", {}, SELU_BRANCH + 48 + dense(20, 2), 30_048 + 48),
        ("conv-resnet-selu", {}, conv(2, 15, 1) + 10 * 2 * (conv(15, 15, 3) + 2 * 15) + dense(15, 2), 41_477),
        ("siamese-resnet-selu", {}, conv(1, 15, 1) + 10 * 2 * (conv(15, 15, 3) + 2 * 15) + dense(15, 10), 41_590),
        ("siamese-linear", {}, conv(1, 8, 3) + conv(8, 16, 5) + dense(16 * 16 * 16, 10), None),
        # torchvision's ResNet-18 has 11,689,512, of which 3·64·7² in its first convolution and 513,000 in its last layer.
        ("resnet18-pair", {}, 11_689_512 - 9_408 - 513_000 + 2 * 64 * 49 + dense(512, 2), 11_174_402),
        ("resnet18-siamese", {}, 11_689_512 - 9_408 - 513_000 + 64 * 49 + dense(512, 10), None),
        ("conv-transpose-selu", {}, conv(2, 16, 4) + conv(16, 32, 5) + dense(288, 2), None),
        ("parameter-budget", {"shared": False}, 2 * (BUDGET_CONV + dense(1600, 20, 10)) + 2 * 16 + dense(20, 2), 66_934),
        ("parameter-budget", {}, BUDGET_CONV + dense(1600, 20, 10) + 2 * 16 + dense(20, 2), 33_504),
        ("parameter-budget", {"deep": True}, BUDGET_CONV + dense(1600, 40, 20, 10) + 2 * 16 + dense(20, 2), 66_344),
        ("mlp-relu", {}, dense(392, 264, 120, 84, 10, 2), 146_588),
        ("lenet-pair", {}, conv(2, 32, 3) + conv(32, 64, 3) + LENET_DENSE + dense(84, 2), 60_278),
        ("lenet-features", {}, LENET + COMPARISON, 63_242),
        ("lenet-two-heads", {}, LENET + COMPARISON + dense(84, 10), 64_092),
        ("lenet-two-heads", {"comparison_dropout": False}, LENET + COMPARISON + dense(84, 10), 64_092),
        ("lenet-digits", {}, LENET + dense(84, 10), 60_670),
        ("dense-twin", {}, dense(196, 50, 50, 10) + dense(20, 200, 200, 2), None),
        ("dense-twin", {"shared": False, "dropout": 0.5}, 2 * dense(196, 50, 50, 10) + dense(20, 200, 200, 2), None),
        ("conv-twin", {}, conv_twin(64) + dense(20, 200, 200, 2), None),
        ("conv-twin", {"channels": 8}, conv_twin(8) + dense(20, 200, 200, 2), None),
        ("conv-twin", {"channels": 32, "shared": False}, 2 * conv_twin(32) + dense(20, 200, 200, 2), None),
        ("conv-only", {}, conv(1, 100, 3) + conv(100, 10, 4), None),
        ("plain-convnet", {}, conv(2, 32, 3) + conv(32, 64, 3) + dense(256, 200, 2), None),
        ("twin-lenet", {}, TWIN_LENET + dense(20, 10) + 2 * 10 + dense(10, 2), 9_322 + 252),
        ("twin-lenet", {"shared": False}, 2 * TWIN_LENET + dense(20, 10) + 2 * 10 + dense(10, 2), 2 * 9_322 + 252),
    ],
)  # fmt: skip
def test_parameters_by_hand(name, options, by_hand, published):
    assert count_parameters(build(name, **options)) == by_hand
    assert published in (None, by_hand)


def test_the_plain_convnet_is_about_as_large_as_the_assignment_says():
    assert round(count_parameters(build("plain-convnet")), -4) == 70_000


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_deep_and_wide_dense_branches_of_equal_size(layers):
    limit = dense(196, 500, 10)
    (branch,) = build("dense-twin", layers=layers, branch_parameters=limit).branch.branches
    width, size = width_within(limit, layers), count_parameters(branch)
    assert size == dense(196, *[width] * (layers - 1), 10) <= limit
    if layers > 1:
        assert dense(196, *[width + 1] * (layers - 1), 10) > limit
        assert size > 0.99 * limit
    assert (layers == 2) == (size == limit)


def test_a_branch_too_small_for_one_unit_has_one():
    assert width_within(1, 2) == 1

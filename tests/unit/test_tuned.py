"""A tuned model against the plain one that it was, and each of its layers against torch's own."""

import pytest
import torch
from torch import nn

from twinbench.architectures.catalog import architectures
from twinbench.training import tuned
from twinbench.training.stacked.stack import stack
from twinbench.training.tuned import SELU, Flatten, InputConv2d, OnePixelConv2d, lay_out, tune

OWN = sorted(name for name, entry in architectures().items() if entry.strategy)  # of no layers of torch
NAMES = sorted(set(architectures()) - set(OWN))


def pairs(count=6, dtype=torch.float32):
    return torch.randn(count, 2, 14, 14, generator=torch.Generator().manual_seed(1)).to(dtype)


def build(name, **options):
    torch.manual_seed(0)
    return architectures()[name].build(**options)


def tuned_layers(model):
    """Names of the layers that are not torch's own, by their class."""
    return {name: type(module) for name, module in model.named_modules() if type(module).__module__ == tuned.__name__}


def answers(model, dtype, training):
    """Outputs by head, and gradients of the sum of their squares by parameter. Dropout is off: its masks follow the layout."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    heads = model.to(dtype).train(training)(pairs(dtype=dtype))
    sum(logits.square().sum() for logits in heads.values()).backward()
    return {head: logits.detach() for head, logits in heads.items()}, {n: p.grad for n, p in model.named_parameters()}


# By type and whether in training: the largest difference, as a share of the model's largest output or gradient. Some
# thousand products are summed in another order: 1e-16 each in float64, 6e-8 in float32; the batch norms of 20 layers,
# in training over as few as 6 rows, magnify it. Seen: 5e-14 and 2e-15, 2e-5 and 3e-6, all of them in ResNet-18.
TOLERANCES = {
    (torch.float64, True): 1e-12,
    (torch.float64, False): 1e-13,
    (torch.float32, True): 1e-4,
    (torch.float32, False): 1e-5,
}


@pytest.mark.parametrize(("dtype", "training"), TOLERANCES, ids=["64 training", "64", "32 training", "32"])
@pytest.mark.parametrize("name", NAMES)
def test_tuned_is_the_plain_model(name, dtype, training):
    plain, fast = build(name), tune(build(name))
    for expected, found in zip(answers(plain, dtype, training), answers(fast, dtype, training), strict=True):
        assert list(found) == list(expected)
        largest = max(tensor.abs().max() for tensor in expected.values())
        for key, tensor in expected.items():
            assert (found[key] - tensor).abs().max() <= TOLERANCES[dtype, training] * largest, key


@pytest.mark.parametrize("name", NAMES)
def test_weights_names_modes_and_draws_stay(name):
    plain, model = build(name), build(name)
    next(iter(model.children())).eval()
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()
    assert tune(model) is model
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert list(model.state_dict()) == list(plain.state_dict())
    for key, tensor in plain.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", OWN)
def test_models_of_our_own_framework_stay_as_they_are(name):
    model = build(name)
    examples = pairs() if architectures()[name].task == "pairs" else pairs()[:, 0, 0, :2]
    before, state = model(examples)["target"], torch.get_rng_state()
    assert tune(model) is model
    assert torch.equal(torch.get_rng_state(), state)
    assert tuned_layers(model) == {}
    assert torch.equal(model(examples)["target"], before)


def test_what_is_tuned():
    """Of every kind of place one architecture that has it."""
    assert tuned_layers(tune(build("twin-lenet", shared=False))) == {
        f"branch.branches.{side}.{place}": cls for side in (0, 1) for place, cls in (("0", InputConv2d), ("6", Flatten))
    }
    assert tuned_layers(tune(build("resnet18-pair"))) == {"net.conv1": InputConv2d} | {
        f"net.layer4.{block}.conv{place}": OnePixelConv2d for block in (0, 1) for place in (1, 2)
    }
    assert tuned_layers(tune(build("conv-transpose-selu"))) == {"layers.1": SELU, "layers.4": SELU}
    assert tuned_layers(tune(build("dense-twin"))) == {}
    assert tuned_layers(tune(build("conv-twin", channels=1))) == {"branch.branches.0.0": InputConv2d}
    residual = tuned_layers(tune(build("conv-resnet-selu")))  # whose inner maps are of 14×14 pixels too
    assert [name for name, cls in residual.items() if cls is not SELU] == ["layers.0"]
    large = tune(build("conv-twin")).get_parameter("branch.branches.0.3.weight")
    assert large.is_contiguous(memory_format=torch.channels_last)


def test_a_stacked_model_is_tuned():
    model = tune(stack([build("twin-lenet"), build("twin-lenet")]))
    assert set(tuned_layers(model).values()) == {Flatten}
    assert len(model.eval()(pairs(8))["target"]) == 8
    assert set(tuned_layers(tune(stack([build("mlp-selu"), build("mlp-selu")]))).values()) == {SELU}


class Users(nn.Module):
    """A model that a user may write: it copies the images, has other settings, an unused layer and a draw."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.first = nn.Conv2d(1, 4, 3, stride=2)
        self.inner = nn.Sequential(nn.SELU(inplace=True), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten())
        self.own = Own(1, 4, 3, stride=2)
        self.unused = nn.Conv2d(3, 3, 1)
        self.last = nn.Linear(36, 2)

    def forward(self, pairs):
        images = torch.cat([pairs[:, :1], pairs[:, 1:]]) * self.scale + 0 * torch.rand(1)
        left, right = self.last(self.inner(self.first(input=images) + self.own(images) + self.first(images))).chunk(2)
        return {"target": left + right}


class Own(nn.Conv2d):
    """A subclass, which may compute anything."""


def test_a_users_model_keeps_what_is_not_known():
    torch.manual_seed(0)
    model = Users()
    expected, state = model(pairs())["target"], torch.get_rng_state()
    tune(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert tuned_layers(model) == {"first": InputConv2d}
    torch.testing.assert_close(model(pairs())["target"], expected)


def test_a_model_that_fails_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(5, 5), nn.SELU())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        tune(model)
    assert tuned_layers(model) == {}
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_large_weights_lie_as_their_maps_do_and_are_the_same():
    small, large = nn.Conv2d(8, 16, 3), nn.Conv2d(64, 64, 3)
    before = large.weight.detach().clone()
    net = lay_out(nn.Sequential(small, large))
    assert not small.weight.is_contiguous(memory_format=torch.channels_last)
    assert large.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net.state_dict()["1.weight"], before)


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])  # numpy's expm1, or torch's own SELU
def test_selu_is_torchs(capability, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    x = torch.linspace(-20, 20, 10_000).view(10, 10, 10, 10).contiguous(memory_format=torch.channels_last)
    y = x.clone().requires_grad_()
    ours, theirs = SELU()(x.requires_grad_()), nn.functional.selu(y)
    ours.sum().backward()
    theirs.sum().backward()
    # A few roundings in another order: 1.2e-7 each.
    torch.testing.assert_close(ours, theirs, atol=0, rtol=5e-7)
    # Below 0 ours is SCALE·ALPHA more than an output near −SCALE·ALPHA = −1.76, whose last bit is 1.2e-7.
    torch.testing.assert_close(x.grad, y.grad, atol=2.4e-7, rtol=5e-7)
    assert ours.is_contiguous(memory_format=torch.channels_last)


# As a product of patches where there are at most 9 weights an output and at least 16 outputs, else as a convolution.
@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "padding"),
    [(1, 16, 3, 0), (1, 17, (2, 3), (1, 0)), (2, 16, 1, 0), (1, 8, 3, 2), (1, 16, 5, 2), (2, 16, 4, 2), (1, 1, 1, 0)],
)
def test_input_convolution_is_torchs(channels, outputs, kernel, padding):
    torch.manual_seed(0)
    ours, theirs = (cls(channels, outputs, kernel, padding=padding) for cls in (InputConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    images = pairs()[:, :channels]
    maps, expected = ours(images), theirs(images)
    # Sums of at most 32 products of order 1 in another order; the gradient's are of 196·B.
    assert torch.allclose(maps, expected, atol=1e-5)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(maps.shape)
    maps.backward(gradient)
    expected.backward(gradient)
    for name, parameter in theirs.named_parameters():
        assert torch.allclose(ours.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-4), name


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"padding": "same"},
        {"dilation": 2},
        {"groups": 2},
        {"bias": False},
        {"padding": 1, "padding_mode": "reflect"},
    ],
    ids=lambda options: next(reversed(options)),
)
def test_input_convolution_leaves_what_is_no_product_of_patches_to_torch(options):
    torch.manual_seed(0)
    channels = options.get("groups", 1)
    ours, theirs = (cls(channels, 16, 3, **options) for cls in (InputConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    images = pairs()[:, :channels]
    maps = ours(images)
    torch.testing.assert_close(maps, theirs(images))
    assert maps.is_contiguous(memory_format=torch.channels_last)


# The last two leave one pixel and are no product: of one row of pixels that no tap meets, and of dilated taps.
@pytest.mark.parametrize(
    ("size", "stride", "bias", "others"),
    [
        (1, 1, False, {}),
        (1, 2, True, {}),
        (2, 2, False, {}),
        (2, 1, True, {}),
        (3, 2, False, {}),
        (3, 3, True, {}),
        (3, 1, True, {"dilation": 2}),
        (1, 1, True, {"groups": 4, "padding_mode": "circular"}),
    ],
)
def test_one_pixel_convolution_is_torchs(size, stride, bias, others):
    torch.manual_seed(0)
    ours, theirs = (cls(4, 8, 3, stride, padding=1, bias=bias, **others) for cls in (OnePixelConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 4, size, size, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    results = ours(x), theirs(y)
    for result in results:
        result.square().sum().backward()
    torch.testing.assert_close(*results)
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_flatten_is_torchs_and_its_gradient_has_the_layout_of_the_maps(layout):
    x = torch.randn(3, 4, 2, 5).contiguous(memory_format=layout).requires_grad_()
    maps, gradients = x * 1, []
    features = Flatten()(maps)
    maps.register_hook(gradients.append)
    assert torch.equal(features, maps.flatten(1))
    features.backward(torch.arange(120.0).view(3, 40))
    assert torch.equal(x.grad, torch.arange(120.0).view(3, 4, 2, 5))
    assert gradients[0].stride() == maps.stride()

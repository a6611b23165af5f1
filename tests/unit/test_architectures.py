"""The contract that every registered architecture keeps, and the layers that are faster than torch's."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import ROOT
from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import count_parameters, forward_flops
from twinbench.architectures.layers import SELU, Flatten, InputConv2d, OnePixelConv2d, lay_out
from twinbench.architectures.twin import Twin
from twinbench.config.loading import load_study
from twinbench.files import DataError
from twinbench.training.cell import _check_batches, _check_budget

NAMES = sorted(architectures())
STUDIES = [load_study(path, "paper") for path in sorted((ROOT / "config/studies").glob("*.yaml"))]
SHAPES = {"target": (6, 2), "digits": (6, 2, 10)}


def build(name, seed=0, **options):
    torch.manual_seed(seed)
    return architectures()[name].build(**options)


def pairs(count=6):
    return torch.randn(count, 2, 14, 14, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_heads_and_shapes(self, name):
        heads = build(name)(pairs())
        assert {head: tuple(logits.shape) for head, logits in heads.items()} == {
            head: SHAPES[head] for head in architectures()[name].heads
        }
        assert all(logits.isfinite().all() for logits in heads.values())

    def test_gradients_reach_every_parameter(self, name):
        # In evaluation mode: batch norm in training takes the mean away, and with it the gradient of a bias before it.
        model = build(name).eval()
        sum(logits.square().sum() for logits in model(pairs()).values()).backward()
        without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert without == []

    def test_same_seed_same_model(self, name):
        first, second = build(name).eval()(pairs()), build(name).eval()(pairs())
        other = build(name, seed=1).eval()(pairs())
        for head in first:
            assert torch.equal(first[head], second[head])
            assert not torch.equal(first[head], other[head])

    def test_parameters_as_declared(self, name):
        assert count_parameters(build(name)) == architectures()[name].parameters

    def test_evaluation_treats_every_pair_alone(self, name):
        model = build(name).eval()
        with torch.no_grad():
            together, alone = model(pairs()), model(pairs()[2:3])
        for head in together:
            # Batches of other sizes add up in another order: float32 rounding.
            torch.testing.assert_close(together[head][2:3], alone[head], atol=1e-4, rtol=1e-4)

    def test_flops_as_torch_counts_them(self, name, monkeypatch):
        # Skipped taps count: the FLOPs are those of the architecture, whatever computes it.
        monkeypatch.setattr(OnePixelConv2d, "forward", nn.Conv2d.forward)
        model = build(name).eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(pairs(1))
        assert forward_flops(model) == counter.get_total_flops()


# Counted by hand from the layer lists. Where the report gives another count, the study file says why.
COUNTS = {
    "twin-lenet": {"plain": 18_896, "shared": 9_574, "auxiliary": 18_896, "shared-auxiliary": 9_574},
    "siamese-resnets": {
        "mlp": 27_490, "convnet": 57_854, "siamese-classes": 30_054, "siamese-targets": 30_096,
        "conv-resnet": 41_477, "siamese-resnet": 41_590, "mnist-resnet": 11_174_402,
        "mnist-siamese-resnet": 11_175_370, "conv-transpose": 13_938,
    },
    "parameter-budget": {"m1": 66_934, "m2": 33_504, "m3": 66_934, "m4": 33_504, "m5": 66_344},
    "transfer": {
        "baseline": 146_588, "cnn": 60_278, "weight-sharing": 63_242, "auxiliary-loss": 64_092,
        "transfer-learning": 64_092, "digit-classification": 60_670,
    },
    "dense-vs-conv": {
        "dense-shared-auxiliary": 57_712, "dense-shared": 57_712, "dense-separate-auxiliary": 70_622,
        "dense-separate": 70_622, "conv-shared-auxiliary": 258_354, "conv-shared": 258_354,
        "conv-separate-auxiliary": 471_906, "conv-separate": 471_906, "dense-shared-auxiliary-batch-50": 57_712,
    },
}  # fmt: skip


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_parameter_count(study):
    counts = {name: count_parameters(build(model.architecture, **model.options)) for name, model in study.file.models.items()}  # fmt: skip
    assert counts == COUNTS[study.name]
    for name, model in study.file.models.items():
        published = model.published
        assert published.parameters in (None, counts[name]) or published.note


def test_the_budget_of_parameters_is_kept():
    assert max(COUNTS["parameter-budget"].values()) < 70_000
    _check_budget(build("parameter-budget", shared=False), 66_934)
    with pytest.raises(DataError, match=r"^66,934 parameters are over the study's parameter_budget of 66,933$"):
        _check_budget(build("parameter-budget", shared=False), 66_933)


def test_batch_norm_and_a_batch_of_one_pair():
    _check_batches(build("twin-lenet"), pairs=129, batch_size=127)
    _check_batches(build("dense-twin"), pairs=129, batch_size=128)  # has no batch norm
    _check_batches(build("conv-resnet-selu"), pairs=129, batch_size=128)  # has it over maps alone
    for pairs, batch_size in ((129, 128), (3, 1)):
        with pytest.raises(
            DataError, match=f"^training.batch_size {batch_size}: of {pairs} training pairs .* holds one"
        ):
            _check_batches(build("twin-lenet"), pairs, batch_size)


def test_one_batch_norm_serves_the_budget_models():
    model = build("parameter-budget", shared=False)
    norms = {id(module) for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    assert len(norms) == 1
    assert sum(isinstance(m, nn.BatchNorm2d) for branch in model.branch.branches for m in branch) == 4


def test_shared_twin_answers_alike_on_both_sides():
    torch.manual_seed(0)
    images = pairs()
    shared, separate = (Twin(lambda: nn.Sequential(nn.Flatten(), nn.Linear(196, 3)), s) for s in (True, False))
    assert torch.equal(shared(images)[:, 0], shared(images.flip(1))[:, 1])
    assert not torch.allclose(separate(images)[:, 0], separate(images.flip(1))[:, 1])
    assert count_parameters(separate) == 2 * count_parameters(shared)


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


@pytest.mark.parametrize(
    ("size", "stride", "bias"), [(1, 1, False), (1, 2, True), (2, 2, False), (2, 1, True), (3, 2, False)]
)
def test_one_pixel_convolution_is_torchs(size, stride, bias):
    torch.manual_seed(0)
    ours, theirs = (cls(4, 5, 3, stride, padding=1, bias=bias) for cls in (OnePixelConv2d, nn.Conv2d))
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


@pytest.mark.parametrize("name", ["resnet18-pair", "resnet18-siamese"])
def test_resnet18_is_torchvisions(name):
    from torchvision.models import resnet18

    model = build(name).eval()
    ours = model.net if name == "resnet18-pair" else model.branch.branches[0]
    channels, outputs = ours.conv1.in_channels, ours.fc.out_features
    theirs = resnet18(num_classes=outputs).eval()
    theirs.conv1 = nn.Conv2d(channels, 64, 7, padding=3, bias=False)
    theirs.load_state_dict(ours.state_dict())
    images = pairs()[:, :channels]
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)


def test_an_architecture_needs_one_file_only(tmp_path, monkeypatch):
    from twinbench.architectures import catalog

    (tmp_path / "mine.py").write_text(
        '@register("mine", heads=("target",), parameters=3)\n'
        "class Mine(nn.Module):\n    def __init__(self, width: int = 3, kind: Literal['a', 'b'] = 'a'):\n"
        "        super().__init__()\n        self.branch = nn.Linear(1, 2)\n        self.head = nn.Linear(2, 3)\n"
    )
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    catalog.architectures.cache_clear()
    try:
        mine = catalog.architectures()["mine"]
    finally:
        catalog.architectures.cache_clear()
    assert (mine.module, mine.heads, mine.parameters) == ("twinbench.architectures.mine", ("target",), 3)
    assert mine.parts == ("branch", "head")
    assert mine.options["width"] == (int, 3)
    assert mine.options["kind"][1] == "a"

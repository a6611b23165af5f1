"""The contract that every registered architecture keeps: what it declares is what it is."""

import inspect
import typing

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import ROOT
from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import count_parameters, forward_flops
from twinbench.architectures.registry import ARCHITECTURES
from twinbench.architectures.twin import Twin
from twinbench.config.loading import load_study
from twinbench.config.models import Config
from twinbench.files import DataError
from twinbench.tasks.tensors import Split
from twinbench.training.cell import _check_batches, _check_budget

NAMES = sorted(architectures())
CONFIG = Config(scale="paper", studies=["all"], seed=1, rounds_per_job=8)
STUDIES = [load_study(path, CONFIG)[0] for path in sorted((ROOT / "config/studies").glob("*.yaml"))]
SHAPES = {"target": {"cross-entropy": (6, 2), "mse": (6, 1)}, "digits": {"cross-entropy": (6, 2, 10)}}


def build(name, seed=0, **options):
    torch.manual_seed(seed)
    return architectures()[name].build(**options)


def shapes(name):
    entry = architectures()[name]
    return {head: SHAPES[head][entry.loss] for head in entry.heads}


def pairs(count=6):
    return torch.randn(count, 2, 14, 14, generator=torch.Generator().manual_seed(1))


def examples(name, count=6):
    return pairs(count) if architectures()[name].task == "pairs" else pairs(count)[:, 0, 0, :2]


def gradients(name, model, heads):
    """Gradients of the sum of all outputs' squares, by parameter; a framework of its own has its own backward pass."""
    if architectures()[name].strategy:
        model.net.backward(2 * heads["target"])
        return dict(zip(model.state_dict(), (p.gradient for p in model.net.parameters()), strict=True))
    sum(logits.square().sum() for logits in heads.values()).backward()
    return {key: parameter.grad for key, parameter in model.named_parameters()}


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_heads_and_shapes(self, name):
        heads = build(name)(examples(name))
        assert {head: tuple(logits.shape) for head, logits in heads.items()} == shapes(name)
        assert all(logits.isfinite().all() for logits in heads.values())

    def test_gradients_reach_every_parameter(self, name):
        # In evaluation mode: batch norm in training takes the mean away, and with it the gradient of a bias before it.
        model = build(name).eval()
        found = gradients(name, model, model(examples(name)))
        assert [key for key, gradient in found.items() if gradient is None or not gradient.abs().sum() > 0] == []
        assert list(found) == [key for key, _ in model.named_parameters()]

    def test_same_seed_same_model(self, name):
        first, second = build(name).eval()(examples(name)), build(name).eval()(examples(name))
        other = build(name, seed=1).eval()(examples(name))
        for head in first:
            assert torch.equal(first[head], second[head])
            assert not torch.equal(first[head], other[head])

    def test_parameters_as_declared(self, name):
        assert count_parameters(build(name)) == architectures()[name].parameters

    def test_evaluation_treats_every_pair_alone(self, name):
        model = build(name).eval()
        with torch.no_grad():
            together, alone = model(examples(name)), model(examples(name)[2:3])
        for head in together:
            # Batches of other sizes add up in another order: float32 rounding.
            torch.testing.assert_close(together[head][2:3], alone[head], atol=1e-4, rtol=1e-4)

    def test_options_are_those_of_the_class(self, name):
        build(name)  # imports the class
        parameters = inspect.signature(ARCHITECTURES[name], eval_str=True).parameters
        assert architectures()[name].options == {key: (p.annotation, p.default) for key, p in parameters.items()}

    def test_each_choice_of_an_option_answers_alike(self, name):
        for option, (annotation, _) in architectures()[name].options.items():
            literal = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
            for value in (False, True) if annotation is bool else literal:
                heads = build(name, **{option: value})(examples(name))
                assert {head: tuple(logits.shape) for head, logits in heads.items()} == shapes(name), (option, value)

    def test_there_is_no_training_or_speed_code_in_it(self, name):
        assert not any(type(module).__module__.startswith("twinbench.training") for module in build(name).modules())

    def test_flops_as_torch_counts_them(self, name):
        model = build(name).eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(examples(name, 1))
        assert forward_flops(model, examples(name, 1)) == counter.get_total_flops()


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_parameters_as_published(study):
    """The report's own count where it gives one; where ours is another, a note beside it says why."""
    for name, model in study.models.items():
        count = count_parameters(build(model.architecture, **model.options))
        published = model.published
        assert published.parameters in (None, count) or published.note, f"{name} has {count}"
        assert count <= (study.parameter_budget or count), f"{name} has {count}"


def test_a_count_over_the_budget_is_refused():
    _check_budget(build("parameter-budget", shared=False), 66_934)
    with pytest.raises(DataError, match=r"^66,934 parameters are over the study's parameter_budget of 66,933$"):
        _check_budget(build("parameter-budget", shared=False), 66_933)


def split(count):
    return Split(pairs(count), torch.zeros(count, dtype=torch.int64), torch.zeros(count, 2, dtype=torch.int64))


def test_batch_norm_and_a_batch_of_one_pair():
    _check_batches(build("twin-lenet"), split(129), batch_size=127)
    _check_batches(build("dense-twin"), split(129), batch_size=128)  # has no batch norm
    _check_batches(build("conv-resnet-selu"), split(129), batch_size=128)  # has it over maps alone
    for count, batch_size in ((129, 128), (3, 1)):
        with pytest.raises(
            DataError, match=f"^training.batch_size {batch_size}: of {count} training pairs .* holds one"
        ):
            _check_batches(build("twin-lenet"), split(count), batch_size)


def test_shared_twin_answers_alike_on_both_sides():
    torch.manual_seed(0)
    images = pairs()
    shared, separate = (Twin(lambda: nn.Sequential(nn.Flatten(), nn.Linear(196, 3)), s) for s in (True, False))
    assert torch.equal(shared(images)[:, 0], shared(images.flip(1))[:, 1])
    assert not torch.allclose(separate(images)[:, 0], separate(images.flip(1))[:, 1])
    assert count_parameters(separate) == 2 * count_parameters(shared)


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

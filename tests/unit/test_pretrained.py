"""Pre-trained weights: what a file must hold, what becomes of it, and that no file can run code."""

import hashlib
import pickle

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, resnet18

from tests.conftest import ROOT, put
from twinbench.architectures.catalog import architectures
from twinbench.config.loading import load_config, load_study
from twinbench.files import DataError, read_tensors
from twinbench.pretrained import read_origin, write_pretrained
from twinbench.spec.training import Cell
from twinbench.tasks import pairs
from twinbench.training.cell import Inputs, Outputs, train_cell
from twinbench.training.record import Record

MODELS = ["resnet18-pair", "resnet18-siamese"]


@pytest.fixture(scope="module")
def colour():
    """A ResNet-18 for colour images whose first convolution keeps the size, as ours does; in evaluation mode."""
    torch.manual_seed(3)
    net = resnet18(weights=None).eval()
    for name, buffer in net.named_buffers():
        if "running" in name:  # as after a training, so that they matter
            buffer.uniform_(0.5, 1.5)
    net.conv1.stride = (1, 1)
    return net


@pytest.fixture(scope="module")
def files(colour, tmp_path_factory):
    """The same weights as .pth and as .safetensors."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(colour.state_dict(), folder / "weights.pth")
    save_file(colour.state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def written(files):
    write_pretrained(files / "weights.pth", files / "checked.safetensors")
    return files / "checked.safetensors"


def started(name, path):
    torch.manual_seed(0)
    model = architectures()[name].build()
    model.load_pretrained(read_tensors(path))
    net = model.net if name == "resnet18-pair" else model.branch.branches[0]
    return net.eval()


def test_both_kinds_of_file_give_the_same_tensors(files, written):
    write_pretrained(files / "weights.safetensors", files / "other.safetensors")
    tensors, others = read_tensors(written), read_tensors(files / "other.safetensors")
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())


def test_the_origin_names_file_and_checksum(files, written):
    checksum = hashlib.sha256((files / "weights.pth").read_bytes()).hexdigest()
    assert read_origin(written) == f"file weights.pth ({checksum[:12]})"


def test_one_grey_channel_gets_the_sum_over_the_colours(colour, written):
    net = started("resnet18-siamese", written)
    by_hand = colour.conv1.weight[:, 0] + colour.conv1.weight[:, 1] + colour.conv1.weight[:, 2]
    torch.testing.assert_close(net.conv1.weight[:, 0], by_hand)


def test_a_grey_image_is_seen_as_three_times_the_same_colour(colour, written):
    net, image = started("resnet18-siamese", written), torch.randn(4, 1, 14, 14)
    ours, theirs = ([], [])
    net.avgpool.register_forward_hook(lambda layer, inputs, output: ours.append(output))
    colour.avgpool.register_forward_hook(lambda layer, inputs, output: theirs.append(output))
    with torch.inference_mode():
        net(image), colour(image.expand(-1, 3, -1, -1))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-4, atol=1e-4)


def test_two_channels_get_half_of_that_sum_each(written):
    one, two = (started(name, written).conv1.weight for name in ("resnet18-siamese", "resnet18-pair"))
    for channel in (0, 1):
        torch.testing.assert_close(2 * two[:, channel], one[:, 0])


@pytest.mark.parametrize("name", MODELS)
def test_all_else_is_taken_over_but_the_last_layer(colour, written, name):
    torch.manual_seed(0)
    fresh = architectures()[name].build()
    fresh = fresh.net if name == "resnet18-pair" else fresh.branch.branches[0]
    state, theirs, random = started(name, written).state_dict(), colour.state_dict(), fresh.state_dict()
    for key, tensor in state.items():
        if key.startswith("fc."):
            assert torch.equal(tensor, random[key])
        elif key != "conv1.weight":
            assert torch.equal(tensor, theirs[key])


def test_files_without_step_counters_are_complete(colour, tmp_path):
    """torchvision's own file is older than these counters."""
    old = {name: tensor for name, tensor in colour.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    write_pretrained(tmp_path / "old.pth", tmp_path / "checked.safetensors")
    assert read_tensors(tmp_path / "checked.safetensors").keys() == old.keys()


def refused(path, tmp_path):
    """Return why a file is refused, as one line without the file's name; nothing is written."""
    with pytest.raises(DataError) as error:
        write_pretrained(path, tmp_path / "checked.safetensors")
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("name another file in pretrained.resnet18")
    assert "\n" not in message
    assert not (tmp_path / "checked.safetensors").exists()
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"layer1.0.conv1.weight": None}, "tensor layer1.0.conv1.weight is missing"),
        ({"extra": torch.zeros(1)}, "tensor extra is none of torchvision's resnet18"),
        ({"fc.weight": torch.zeros(10, 512)}, "tensor fc.weight has shape (10, 512), not (1000, 512)"),
        ({"bn1.bias": torch.full((64,), torch.nan)}, "tensor bn1.bias holds values that are not finite numbers"),
        ({"bn1.bias": torch.zeros(64, dtype=torch.int64)}, "tensor bn1.bias holds values that are not finite numbers"),
    ],
)
def test_tensors_that_are_not_resnet18s_are_named(colour, tmp_path, changes, expected, suffix):
    state = {name: tensor for name, tensor in (colour.state_dict() | changes).items() if tensor is not None}
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert refused(path, tmp_path).startswith(expected)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02}", pickle.dumps([1], protocol=2)])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_garbage_is_refused(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, tmp_path)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_truncated_file_is_refused(files, tmp_path, name):
    (tmp_path / name).write_bytes((files / name).read_bytes()[:-1000])
    refused(tmp_path / name, tmp_path)


@pytest.mark.parametrize("content", [torch.zeros(3), {"net": {"conv1.weight": torch.zeros(3)}}, {1: torch.zeros(3)}])
def test_a_pth_file_must_hold_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert refused(tmp_path / "w.pth", tmp_path).startswith("does not hold tensors by name")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_code_in_a_pickle_is_not_run(colour, tmp_path, save):
    save(colour.state_dict() | {"extra": Malicious(tmp_path / "ran")}, tmp_path / "w.pth")
    assert "such as code, which is never run" in refused(tmp_path / "w.pth", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_download_is_checked_and_named_or_says_why_not(colour, tmp_path, monkeypatch):
    asked = {}

    def downloaded(weights, **options):
        asked.update(options)
        return colour.state_dict()

    def offline(weights, **options):
        raise OSError("no connection")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", downloaded)
    write_pretrained(None, tmp_path / "checked.safetensors")
    assert read_origin(tmp_path / "checked.safetensors") == "ImageNet (torchvision download)"
    assert asked["check_hash"]
    assert asked["weights_only"]
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", offline)
    with pytest.raises(DataError, match=r"not downloaded \(no connection\); name a file in pretrained.resnet18$"):
        write_pretrained(None, tmp_path / "other.safetensors")


@pytest.mark.parametrize("start", ["random", "file"])
def test_the_record_says_where_a_training_started(written, digits_file, labels, tmp_path, start):
    counts = {"train": 8, "validation": 0, "test": 8}
    table = pairs.draw(range(1), labels=labels, seed=1, counts=counts, folds=None, study="s")
    table.to_parquet(tmp_path / "pairs.parquet")
    config = load_config(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")) | {"scale": "smoke"})
    study = load_study(ROOT / "config/studies/siamese-resnets.yaml", config)[0]
    cell = put(study.cell("mnist-resnet"), "training.optimizer.lr", 1e-9)
    cell = put(put(cell, "folds", ["all"]), "curves", {"splits": ["train", "test"]})
    cell = put(cell, "training", cell["training"] | {"epochs": 1, "early_stopping": None})
    outputs = Outputs(**{name: tmp_path / name for name in ("weights", "history", "record")})
    inputs = Inputs([tmp_path / "pairs.parquet"], digits_file, written if start == "file" else None)
    train_cell(Cell(**cell), range(1), inputs, outputs, threads=1, gpu=False, code="", checkpoint=tmp_path / "c")
    record = Record.read(outputs.record)
    assert record.initial_weights == (read_origin(written) if start == "file" else "random")
    first = read_tensors(outputs.weights)["net.layer1.0.conv1.weight"][0]
    same = torch.allclose(first, read_tensors(written)["layer1.0.conv1.weight"], atol=1e-6)
    assert same == (start == "file")  # a step at a rate of 1e-9 moves nothing
    assert len(pd.read_parquet(outputs.history)) == 2

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from safetensors.torch import load_file
from torch.nn.functional import avg_pool2d

from tests.conftest import ROOT
from tests.unit.small_dataset import EVERY_KIND, LABELS, TRAIN_IMAGES, contents, idx, make, refused
from twinbench.data.dataset import datasets
from twinbench.data.images import pool, write_images

SHIPPED = ROOT / "resources/mnist"
MNIST = datasets()["mnist"]


def test_shipped_files_pool_to_the_official_digits(tmp_path):
    output = tmp_path / "images.safetensors"
    write_images(MNIST, SHIPPED, output)
    written = load_file(output)
    assert written.keys() == {"train_images", "train_labels", "test_images", "test_labels"}
    assert written["train_images"].shape == (60_000, 14, 14)
    assert written["test_images"].shape == (10_000, 14, 14)
    # The class counts of the official files, as published with many descriptions of the data set.
    assert written["train_labels"].long().bincount().tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert written["test_labels"].long().bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for split, part in (("train", "train"), ("test", "t10k")):
        expect_pooled(written, split, *(gzip.decompress((SHIPPED / f"{part}-{kind}-ubyte.gz").read_bytes()) for kind in ("images-idx3", "labels-idx1")))  # fmt: skip


def expect_pooled(written, split, images: bytes, labels: bytes):
    raw = torch.frombuffer(bytearray(images[16:]), dtype=torch.uint8).view(-1, 1, 28, 28).float()
    assert written[f"{split}_images"].dtype == torch.float32
    assert torch.equal(written[f"{split}_images"], avg_pool2d(raw, 2).squeeze(1))
    assert torch.equal(written[f"{split}_labels"], torch.frombuffer(bytearray(labels[8:]), dtype=torch.uint8))


def test_pool_by_hand():
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, :2, :2] = torch.tensor([[1, 2], [4, 255]])
    pooled = pool(image.numpy())
    assert pooled[0, 0, 0] == 262 / 4
    assert pooled.sum() == 262 / 4


@EVERY_KIND
@pytest.mark.parametrize("reader", ["MNIST", "FashionMNIST", "KMNIST"])
def test_files_of_each_kind_are_read_by_each_class(tmp_path, kind, reader):
    files = contents()
    dataset = make(tmp_path / "files", kind, files, torchvision=reader)
    write_images(dataset, tmp_path / "files", tmp_path / "images.safetensors")
    written = load_file(tmp_path / "images.safetensors")
    for split, part in (("train", "train"), ("test", "t10k")):
        expect_pooled(written, split, files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"])


def test_unpacked_files_are_taken_as_well(tmp_path):
    folder = tmp_path / "mnist"
    shutil.copytree(SHIPPED, folder)
    packed = folder / f"{LABELS}.gz"
    (folder / LABELS).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    write_images(MNIST, folder, tmp_path / "images.safetensors")
    assert (tmp_path / "images.safetensors").exists()


@pytest.mark.parametrize(
    ("files", "declared", "expected"),
    [
        (contents(train=59), {}, "train-images-idx3-ubyte and train-labels-idx1-ubyte hold 59×28×28 images and 59 labels; small declares 60×28×28 images and 60 labels"),
        (contents(test=11), {}, "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte hold 11×28×28 images and 11 labels; small declares 10×28×28 images and 10 labels"),
        (contents(size=32), {}, "train-images-idx3-ubyte and train-labels-idx1-ubyte hold 60×32×32 images and 60 labels; small declares 60×28×28 images and 60 labels"),
        (contents() | {LABELS: idx(np.zeros(9, np.uint8))}, {}, "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte hold 10×28×28 images and 9 labels; small declares 10×28×28 images and 10 labels"),
        (contents(), {"classes": tuple("abcdefghi")}, "train-labels-idx1-ubyte holds label 9; small declares 9 classes"),
        *((contents() | {TRAIN_IMAGES: bad}, {}, "train-images-idx3-ubyte and train-labels-idx1-ubyte have the declared checksums, but are no whole IDX files of images and labels (")
          for bad in (b"", b"\0\0\x08", b"text, no numbers", contents()[TRAIN_IMAGES][:-1], idx(np.zeros(60, np.uint8)), b"\0\0\x0d" + contents()[TRAIN_IMAGES][3:])),
    ],
)  # fmt: skip
def test_files_of_another_size_or_form_than_declared(tmp_path, files, declared, expected):
    dataset = make(tmp_path / "files", files=files, **declared)
    message = refused(dataset, tmp_path / "files", tmp_path)
    assert message.startswith(f"{tmp_path}/files: {expected}")
    assert message == f"{tmp_path}/files: {expected}" or expected.endswith("(")


@pytest.mark.parametrize("kind", ["content, gzipped", "MD5 of the .gz"])
@pytest.mark.parametrize("altered", [False, True])
def test_download_ends_in_the_same_verified_files(tmp_path, monkeypatch, kind, altered):
    """Without a network, a stand-in for torchvision's download puts the files, or an altered one, where it would."""
    files = contents()
    dataset = make(tmp_path / "files", kind, files)

    def download(self):
        for name, content in files.items():
            if altered and name == LABELS:
                content = content[:-1] + b"\x0b"
            Path(self.raw_folder, name).write_bytes(content)
            Path(self.raw_folder, f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))

    monkeypatch.setattr(torchvision.datasets.KMNIST, "download", download)
    if altered:
        assert f"{LABELS}" in refused(dataset, None, tmp_path)
        return
    for folder, output in ((None, "downloaded"), (tmp_path / "files", "local")):
        write_images(dataset, folder, tmp_path / output)
    assert (tmp_path / "downloaded").read_bytes() == (tmp_path / "local").read_bytes()


def test_a_failed_download_is_one_line(tmp_path, monkeypatch):
    def download(self):
        raise RuntimeError(f"Error downloading {TRAIN_IMAGES}.gz:\nTried http://x/, got:\n<urlopen error no network>\n")

    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "download", download)
    assert refused(datasets()["fashion-mnist"], None, tmp_path) == (
        f"Fashion-MNIST: not downloaded (Error downloading {TRAIN_IMAGES}.gz: Tried http://x/, got: <urlopen error no "
        "network>); name a folder with the four files in data.source"
    )

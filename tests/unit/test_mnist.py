import gzip
import hashlib
import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import avg_pool2d

from tests.conftest import ROOT
from twinbench.data.checksums import CHECKSUMS
from twinbench.data.mnist import pool, write_digits
from twinbench.files import DataError

SHIPPED = ROOT / "resources/mnist"
LABELS = "t10k-labels-idx1-ubyte"  # the smallest of the four


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "mnist"
    shutil.copytree(SHIPPED, copy)
    return copy


def refused(folder, output) -> str:
    with pytest.raises(DataError) as error:
        write_digits(folder, output)
    assert not output.exists(), "nothing may be written"
    return str(error.value)


def test_shipped_files_pool_to_the_official_digits(tmp_path):
    output = tmp_path / "digits.safetensors"
    write_digits(SHIPPED, output)
    digits = load_file(output)
    assert digits["train_images"].shape == (60_000, 14, 14)
    assert digits["test_images"].shape == (10_000, 14, 14)
    # The class counts of the official files, as published with many descriptions of the data set.
    assert digits["train_labels"].long().bincount().tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert digits["test_labels"].long().bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    raw = gzip.decompress((SHIPPED / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    images = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(-1, 1, 28, 28).float()
    assert torch.equal(digits["test_images"], avg_pool2d(images, 2).squeeze(1))


def test_pool_by_hand():
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, :2, :2] = torch.tensor([[1, 2], [4, 255]])
    pooled = pool(image.numpy())
    assert pooled[0, 0, 0] == 262 / 4
    assert pooled.sum() == 262 / 4


def test_unpacked_files_are_taken_as_well(folder, tmp_path):
    packed = folder / f"{LABELS}.gz"
    (folder / LABELS).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    write_digits(folder, tmp_path / "digits.safetensors")
    assert (tmp_path / "digits.safetensors").exists()


def test_altered_file_names_file_and_both_checksums(folder, tmp_path):
    content = bytearray(gzip.decompress((folder / f"{LABELS}.gz").read_bytes()))
    content[100] ^= 1
    (folder / f"{LABELS}.gz").write_bytes(gzip.compress(bytes(content)))
    message = refused(folder, tmp_path / "digits.safetensors")
    assert f"{LABELS}.gz" in message
    assert hashlib.sha256(content).hexdigest() in message
    assert CHECKSUMS[LABELS] in message


def test_truncated_file_names_file_and_both_checksums(folder, tmp_path):
    whole = (folder / f"{LABELS}.gz").read_bytes()
    (folder / f"{LABELS}.gz").write_bytes(whole[: len(whole) // 2])
    message = refused(folder, tmp_path / "digits.safetensors")
    assert f"{LABELS}.gz" in message
    assert hashlib.sha256(whole[: len(whole) // 2]).hexdigest() in message
    assert CHECKSUMS[LABELS] in message


@pytest.mark.parametrize("position", [0, 500, 2000, -3])
def test_a_damaged_gzip_stream_names_file_and_both_checksums(folder, tmp_path, position):
    """Header, compressed data and trailer: each damage is another error of Python's."""
    content = bytearray((folder / f"{LABELS}.gz").read_bytes())
    content[position] ^= 0xFF
    (folder / f"{LABELS}.gz").write_bytes(content)
    message = refused(folder, tmp_path / "digits.safetensors")
    assert f"{LABELS}.gz: " in message
    assert CHECKSUMS[LABELS] in message
    assert message.count("SHA-256") == 1


def test_missing_file_is_named(folder, tmp_path):
    (folder / f"{LABELS}.gz").unlink()
    assert f"{LABELS}.gz: no such file" in refused(folder, tmp_path / "digits.safetensors")


def test_download_ends_in_the_same_verified_files(folder, tmp_path, monkeypatch):
    """Without a network, a stand-in for torchvision's download puts one altered file where the download would."""
    from torchvision.datasets import MNIST

    def download(self):
        for name in CHECKSUMS:
            target = f"{self.raw_folder}/{name}"
            content = gzip.decompress((folder / f"{name}.gz").read_bytes())
            with open(target, "wb") as file:  # noqa: PTH123
                file.write(content if name != LABELS else content[:-1] + b"\x0b")

    monkeypatch.setattr(MNIST, "download", download)
    with pytest.raises(DataError, match=LABELS):
        write_digits(None, tmp_path / "digits.safetensors")
    assert not (tmp_path / "digits.safetensors").exists()

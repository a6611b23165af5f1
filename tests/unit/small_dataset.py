"""Data sets of a few images in the real IDX format, which the tests make."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from twinbench.data.dataset import Dataset
from twinbench.data.images import write_images
from twinbench.files import DataError

LABELS = "t10k-labels-idx1-ubyte"  # the smallest of the four
TRAIN_IMAGES = "train-images-idx3-ubyte"
# Whether the checksums are of the content or of the .gz file, and whether the folder holds the files gzipped.
KINDS = {
    "content, gzipped": ("sha256", "content", True),
    "content, unpacked": ("sha256", "content", False),
    "MD5 of the .gz": ("md5", "gz", True),
    "MD5 of the content": ("md5", "content", True),
    "SHA-256 of the .gz": ("sha256", "gz", True),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file: two zeros, 8 for unsigned bytes, the number of axes, their sizes, the values."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def contents(train: int = 60, test: int = 10, size: int = 28) -> dict[str, bytes]:
    """Four small files: uncompressed name → bytes."""
    rng, files = np.random.default_rng(1), {}
    for part, count in (("train", train), ("t10k", test)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, size, size), np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8) % 10)
    return files


def make(folder: Path, kind: str = "content, gzipped", files: dict[str, bytes] | None = None, **declared) -> Dataset:
    """Write the files into the folder and return the data set that they are, or that is declared."""
    algorithm, checksum_of, gzipped = KINDS[kind]
    folder.mkdir(exist_ok=True)
    checksums = {}
    for name, content in (files or contents()).items():
        packed = gzip.compress(content, mtime=0)
        (folder / (f"{name}.gz" if gzipped else name)).write_bytes(packed if gzipped else content)
        checksums[name] = hashlib.new(algorithm, packed if checksum_of == "gz" else content).hexdigest()
    known = {"name": "small", "title": "Small", "torchvision": "KMNIST", "train": 60, "test": 10}
    known |= {"classes": tuple("abcdefghij"), "order": "Letters compare by their place in the alphabet."}
    return Dataset(**known | {"checksums": checksums, "algorithm": algorithm, "checksum_of": checksum_of} | declared)


def in_folder(dataset, folder, name) -> Path:
    return next(path for path in (folder / name, folder / f"{name}.gz") if path.exists())


def refused(dataset, folder, tmp_path) -> str:
    output = tmp_path / "images.safetensors"
    with pytest.raises(DataError) as error:
        write_images(dataset, folder, output)
    assert not output.exists(), "nothing may be written"
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)

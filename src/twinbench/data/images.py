"""The files of a data set: verify them, and pool their images to 14×14."""

import gzip
import hashlib
import tempfile
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from twinbench.data.dataset import Dataset
from twinbench.files import DataError, one_line

HASHES = {"sha256": "SHA-256", "md5": "MD5"}


def write_images(dataset: Dataset, folder: Path | None, output: Path) -> None:
    """Verify a data set and write its pooled images once, for every study and scale.

    Args:
        folder: holds the four files, gzipped, or unpacked if the checksums are of the content. None downloads them
            through torchvision.
        output: safetensors file: ``train_images`` (N, 14, 14) and ``test_images``, float32 grey levels in 0…255;
            ``train_labels`` (N,) and ``test_labels``, uint8. N is ``dataset.train`` or ``dataset.test``.

    Raises:
        DataError: a file is missing, truncated or altered, holds something else than declared, or cannot be
            downloaded; nothing is written then.
    """
    import torchvision.datasets  # 2 s of import that only this job pays

    reader = getattr(torchvision.datasets, dataset.torchvision)
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root, dataset.torchvision, "raw")  # where torchvision's class looks
        raw.mkdir(parents=True)
        if folder is None:
            folder = raw
            try:
                reader(root, download=True)
            except (OSError, RuntimeError) as error:  # no connection; another hash
                remedy = "name a folder with the four files in data.source"
                raise DataError(f"{dataset.title}: not downloaded ({one_line(error)}); {remedy}") from error
        for name in dataset.checksums:
            (raw / name).write_bytes(read_verified(dataset, folder, name))
        tensors = {}
        for split in ("train", "test"):
            images, labels = _parsed(dataset, reader, root, split, folder)
            tensors |= {f"{split}_images": pool(images), f"{split}_labels": labels.astype(np.uint8)}
    save_file(tensors, output)


def read_verified(dataset: Dataset, folder: Path, name: str) -> bytes:
    """Return the uncompressed content of a file of ``dataset.checksums`` in ``folder``, if its checksum is right.

    Raises:
        DataError: names the file and, where it can be read, both checksums.
    """
    label, expected = HASHES[dataset.algorithm], dataset.checksums[name]
    try:
        path = dataset.find(folder, name)
        if path is None:
            raise DataError(_missing(dataset, folder / name, label, expected))
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{folder / name}: not readable ({one_line(error)}); expected: {label} {expected}") from error
    found, of_content = _checksum(dataset, content), dataset.checksum_of == "content"
    if path.suffix == ".gz" and (of_content or found == expected):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            # The checksum of what is there still tells two damaged copies apart.
            checksums = f"{label} {found}, expected {'once unpacked ' if of_content else ''}{expected}"
            raise DataError(f"{path}: not a whole gzip file ({one_line(error)}); {checksums}") from error
        if of_content:
            label, found = f"{label} (unpacked)", _checksum(dataset, content)
    if found != expected:
        raise DataError(f"{path}: truncated or altered; {label} {found}, expected {expected}")
    return content


def pool(images: np.ndarray) -> np.ndarray:
    """Average-pool (n, 28, 28) uint8 images by 2 to (n, 14, 14) float32, exactly."""
    return images.reshape(-1, 14, 2, 14, 2).sum(axis=(2, 4), dtype=np.uint16).astype(np.float32) / 4


def _checksum(dataset: Dataset, content: bytes) -> str:
    return hashlib.new(dataset.algorithm, content, usedforsecurity=False).hexdigest()


def _missing(dataset: Dataset, path: Path, label: str, expected: str) -> str:
    """Say what is missing; an unpacked file is not enough where the checksum is that of the .gz file."""
    if dataset.checksum_of == "content":
        return f"{path}.gz: no such file, nor {path.name} beside it; {label} (unpacked) none, expected {expected}"
    if not path.is_file():
        return f"{path}.gz: no such file; {label} none, expected {expected}"
    needed = f"the gzipped {path.name}.gz as published is needed, {label} {expected}"
    found = f"unpacked, {label} {_checksum(dataset, path.read_bytes())}"
    return f"{path}: {found}; {needed}, since no checksum of the unpacked file is known"


def _parsed(dataset: Dataset, reader: type, root: str, split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a split's images (n, 28, 28) and labels (n,), as torchvision's class ``reader`` reads them."""
    names = [name for name in dataset.checksums if name.startswith("train" if split == "train" else "t10k")]
    files, count, classes = f"{folder}: {' and '.join(names)}", getattr(dataset, split), len(dataset.classes)
    try:
        parsed = reader(root, train=split == "train")
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        why = f"are no whole IDX files of images and labels ({one_line(error)})"
        raise DataError(f"{files} have the declared checksums, but {why}") from error
    images, labels = parsed.data.numpy(), parsed.targets.numpy()
    found = f"{'×'.join(map(str, images.shape))} images and {len(labels)} labels"
    declared = f"{count}×28×28 images and {count} labels"
    if found != declared:
        raise DataError(f"{files} hold {found}; {dataset.name} declares {declared}")
    if labels.max() >= classes:
        raise DataError(f"{folder}: {names[-1]} holds label {labels.max()}; {dataset.name} declares {classes} classes")
    return images, labels

"""The official MNIST files: find them, verify them, pool the digits to 14×14."""

import gzip
import hashlib
import tempfile
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from twinbench.data.checksums import CHECKSUMS
from twinbench.files import DataError


def write_digits(folder: Path | None, output: Path) -> None:
    """Verify MNIST and write the pooled digits once, for every study and scale.

    Args:
        folder: holds the four official files, gzipped or not; None downloads them through torchvision.
        output: safetensors file: ``train_images`` (60000, 14, 14) and ``test_images`` (10000, 14, 14), float32 grey
            levels in 0…255; ``train_labels`` and ``test_labels``, uint8.

    Raises:
        DataError: a file is missing, truncated or altered; nothing is written then.
    """
    from torchvision.datasets import MNIST  # 2 s of import that only this job pays

    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"  # where torchvision's class looks
        raw.mkdir(parents=True)
        if folder is None:
            MNIST(root, download=True)
            folder = raw
        for name, expected in CHECKSUMS.items():
            (raw / name).write_bytes(read_verified(folder, name, expected))
        tensors = {}
        for split in ("train", "test"):
            digits = MNIST(root, train=split == "train")
            tensors[f"{split}_images"] = pool(digits.data.numpy())
            tensors[f"{split}_labels"] = digits.targets.numpy().astype(np.uint8)
    save_file(tensors, output)


def read_verified(folder: Path, name: str, expected: str) -> bytes:
    """Return the uncompressed content of ``folder/name`` or ``folder/name.gz`` if its SHA-256 is ``expected``.

    Raises:
        DataError: names the file and, where it can be read, both checksums.
    """
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.exists() else packed
    if not path.exists():
        raise DataError(f"{packed}: no such file, nor {name} beside it")
    content = path.read_bytes()
    if path == packed:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            # The checksum of what is there still tells two damaged copies apart.
            found = hashlib.sha256(content).hexdigest()
            raise DataError(
                f"{path}: not a whole gzip file ({error}); SHA-256 {found} as it is, "
                f"where {expected} is expected once unpacked"
            ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(f"{path}: truncated or altered; SHA-256 {found}, expected {expected}")
    return content


def pool(images: np.ndarray) -> np.ndarray:
    """Average-pool (n, 28, 28) uint8 images by 2 to (n, 14, 14) float32, exactly."""
    count = len(images)
    blocks = images.reshape(count, 14, 2, 14, 2)
    return blocks.sum(axis=(2, 4), dtype=np.uint16).astype(np.float32) / 4

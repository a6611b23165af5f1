"""The data sets and what each declares, one module each in `sets`. Planning reads this: no torch, no numpy."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from twinbench.data import sets


@dataclass(frozen=True)
class Dataset:
    """A data set of 28×28 grey images in MNIST's format, which a class of torchvision reads and downloads.

    Attributes:
        name: what ``data.dataset`` says; its module in `sets` has the same name, with _ for -.
        title: its name in the report and in messages.
        torchvision: name of the class in ``torchvision.datasets``.
        checksums: uncompressed file name → checksum in hex, for the four files.
        classes: names of the classes, by class index.
        order: a sentence that says in which order two classes compare.
        algorithm: the hash that the checksums are of; torchvision's are MD5.
        checksum_of: what is hashed: the file's uncompressed ``content``, or the ``gz`` file as it is published.
        train, test: number of images in either part.
        shipped: the folder of the project that holds its files; None if they do not come with the project.
    """

    name: str
    title: str
    torchvision: str
    checksums: dict[str, str]
    classes: tuple[str, ...]
    order: str
    algorithm: Literal["sha256", "md5"] = "md5"
    checksum_of: Literal["content", "gz"] = "gz"
    train: int = 60_000
    test: int = 10_000
    shipped: str | None = None

    @property
    def module(self) -> str:
        """The module that declares it; the digest of everything that is made from its files covers this module."""
        return f"{sets.__name__}.{self.name.replace('-', '_')}"

    def file_names(self, name: str) -> tuple[str, ...]:
        """Return the names that a file of ``checksums`` may have in a folder; the first one that is there counts."""
        return (f"{name}.gz",) if self.checksum_of == "gz" else (name, f"{name}.gz")

    def find(self, folder: Path, name: str) -> Path | None:
        """Return a file of ``checksums`` in ``folder``, gzipped, or unpacked if the checksum allows; None if missing.

        Raises:
            OSError: the folder cannot be read.
        """
        return next((folder / file for file in self.file_names(name) if (folder / file).is_file()), None)

    def folder(self, source: str) -> Path | None:
        """Return the folder that ``data.source`` means: ``shipped`` or a folder; None for ``download``."""
        return None if source == "download" else Path((source == "shipped" and self.shipped) or source)

    def files(self, source: str) -> list[Path]:
        """Return the four files in their folder, a missing one as its .gz; none for ``download``."""
        folder = self.folder(source)
        return [self.find(folder, name) or folder / f"{name}.gz" for name in self.checksums] if folder else []


@cache
def datasets() -> dict[str, Dataset]:
    """Return every data set by name: each module in `sets` defines one as ``DATASET``.

    Raises:
        ValueError: a module defines none, or one of another name.
    """
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(sets.__path__, f"{sets.__name__}.")):
        dataset = getattr(importlib.import_module(name), "DATASET", None)
        if not isinstance(dataset, Dataset):
            raise ValueError(f"{name}: defines no DATASET = Dataset(...)")
        if dataset.module != name:
            raise ValueError(f"{name}: its data set is named {dataset.name!r}, which belongs in {dataset.module}")
        found[dataset.name] = dataset
    return found

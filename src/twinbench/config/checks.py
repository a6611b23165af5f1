"""Checks of what the configuration names outside of itself: folders and files that must be there."""

import os
from pathlib import Path

from twinbench.config.models import Pretrained
from twinbench.config.reading import ConfigError, read_yaml
from twinbench.data.checksums import CHECKSUMS


def check_data(source: str, shipped: str = "resources/mnist") -> None:
    """Check that ``data.source`` can be what it says; the files' content is verified when they are read.

    Raises:
        ConfigError: the folder leaves the project by ``..``, is none, or lacks a file.
    """
    key = "config/config.yaml: data.source"
    if source == "download":
        return
    folder = Path(shipped if source == "shipped" else source)
    if ".." in folder.parts:
        raise ConfigError(
            f"{key}: {source!r} leaves the project; allowed: shipped, download, a folder inside it, an absolute path"
        )
    if not folder.is_dir():
        raise ConfigError(f"{key}: no folder {source!r}; allowed: shipped, download, or a folder with the MNIST files")
    for name in CHECKSUMS:
        if not ((folder / name).is_file() or (folder / f"{name}.gz").is_file()):
            raise ConfigError(f"{key}: {folder.as_posix()} has no {name} or {name}.gz; allowed: a folder with all four")


def check_pretrained(pretrained: Pretrained) -> None:
    """Check that every key of ``pretrained`` can be what it says; a file's content is checked when it is read.

    Raises:
        ConfigError: the file leaves the project by ``..``, is none, or is of another kind.
    """
    for name, source in pretrained:
        if source in ("random", "download"):
            continue
        key, path = f"config/config.yaml: pretrained.{name}", Path(source)
        if ".." in path.parts:
            raise ConfigError(
                f"{key}: {source!r} leaves the project; allowed: random, download, a file inside it, an absolute path"
            )
        if path.suffix not in (".pth", ".safetensors"):
            raise ConfigError(f"{key}: unknown {source!r}; allowed: random, download, or a .pth or .safetensors file")
        if not path.is_file():
            raise ConfigError(f"{key}: no file {source!r}; allowed: random, download, or a .pth or .safetensors file")


def check_writable(folder: str) -> None:
    """Check that results can be written.

    Raises:
        ConfigError: the folder, or the one it would be made in, is read-only or no folder.
    """
    path = Path(folder)
    nearest = path if path.exists() else path.resolve().parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: results cannot be written here; a folder with write permission is needed")


def check_file(path: Path) -> None:
    """Check that a configuration file is YAML in UTF-8 of a sane size, before Snakemake reads it.

    Raises:
        ConfigError: one line that names file and line.
    """
    read_yaml(path)

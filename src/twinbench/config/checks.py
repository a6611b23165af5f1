"""Check the folders and files that the configuration names."""

import os
from pathlib import Path

from twinbench.config.models import Pretrained
from twinbench.data.dataset import Dataset
from twinbench.files import ConfigError


def check_pretrained(pretrained: Pretrained) -> None:
    """Check that every source in ``pretrained`` can be used; a file's content is checked when it is read.

    Raises:
        ConfigError: the path leaves the project by ``..``, is no file, or is a file of another kind.
    """
    for name, source in pretrained:
        path, problem, files = Path(source), None, "or a .pth or .safetensors file"
        if ".." in path.parts:
            problem, files = f"{source!r} leaves the project", "a file inside it, an absolute path"
        elif path.suffix not in (".pth", ".safetensors"):
            problem = f"unknown {source!r}"
        elif not path.is_file():
            problem = f"no file {source!r}"
        if problem and source not in ("random", "download"):
            raise ConfigError(f"config/config.yaml: pretrained.{name}: {problem}; allowed: random, download, {files}")


def check_data(dataset: Dataset, source: str) -> None:
    """Check that ``data.source`` can be used; the files' content is verified when they are read.

    Raises:
        ConfigError: the data set has no shipped files; the folder leaves the project by ``..``, is no folder, cannot
            be read or lacks a file.
    """
    allowed = f"{'shipped, ' if dataset.shipped else ''}download, or a folder with the {dataset.title} files"
    folder, problem = dataset.folder(source), None
    if source == "shipped" and not dataset.shipped:
        problem = f"no {dataset.title} files are shipped with the project"
    elif folder and ".." in folder.parts:
        problem, allowed = f"{source!r} leaves the project", f"{allowed}, inside it or by an absolute path"
    elif folder and (problem := _lacking(dataset, folder)) and source == "shipped":
        back = f"git checkout -- {folder.as_posix()}, run in the project, brings them back"
        problem = f"shipped files are missing: {problem}; {back}"
    if problem:
        raise ConfigError(f"config/config.yaml: data.source: {problem}; allowed: {allowed}")


def _lacking(dataset: Dataset, folder: Path) -> str | None:
    """Say what the folder of the files lacks; None if nothing."""
    at = folder.as_posix()
    try:
        if not folder.is_dir():
            return f"no folder {at!r}"
        for name in dataset.checksums:
            if dataset.find(folder, name) is None:
                unpacked = (folder / name).is_file()  # not enough: the checksum is that of the .gz file
                why = f"; {name} is there, but the gzipped file as published is needed" if unpacked else ""
                return f"{at} has no {' or '.join(dataset.file_names(name))}{why}"
    except OSError as error:  # no permission, a name too long
        return f"{at!r} cannot be looked into ({error.strerror})"
    return None


def check_writable(folder: str) -> None:
    """Check that results can be written.

    Raises:
        ConfigError: the folder, or the one to make it in, is read-only or is no folder.
    """
    path = Path(folder)
    nearest = path if path.exists() else path.resolve().parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: results cannot be written here; a folder with write permission is needed")

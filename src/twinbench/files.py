"""Files that are whole or not there, and readers that name the file when it is neither."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError, safe_open


class DataError(Exception):
    """A data file is missing or is not what it should be; the message names the file."""


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it to ``path`` once it is safely on the disk.

    A reader never sees a half-written file, also after a kill, a full disk or a power cut: the content is flushed to
    the disk before the name exists, and Snakemake notes a job as done only after that.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Return a Parquet file's table.

    Raises:
        DataError: the file is missing or no whole Parquet file.
    """
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise DataError(f"{path}: not a whole Parquet file ({first_line(error)}); {REMEDY}") from error


REMEDY = "delete it and run again to have it made anew"


def read_tensors(path: str | Path, names: list[str] | None = None, framework: str = "pt", remedy: str = REMEDY) -> dict:
    """Return tensors of a safetensors file by name: all, or those in ``names``; ``framework`` is ``pt`` or ``numpy``.

    Raises:
        DataError: the file is missing, cut, not safetensors (a pickle, say) or lacks a tensor.
    """
    try:
        with safe_open(path, framework) as file:
            return {name: file.get_tensor(name) for name in (names or file.keys())}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({first_line(error)}); {remedy}") from error


def first_line(error: Exception) -> str:
    """Return what an error says, as one line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__

"""Write files that are whole or absent; read files, and name the one that is neither."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    import pandas as pd

REMEDY = "delete it and run again to have it made anew"


class ConfigError(Exception):
    """A mistake in the configuration; the message is one line: file, key, what is wrong, what is allowed."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))  # a key or value may hold line breaks


class DataError(Exception):
    """A data file is missing or is not what it should be; the message names the file."""


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it to ``path`` once it is safely on the disk.

    A reader never sees a half-written file, even after a kill, a full disk or a power cut: the content is flushed to
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


def read_parquet(path: str | Path) -> "pd.DataFrame":
    """Return a Parquet file's table.

    Raises:
        DataError: the file is missing or no whole Parquet file.
    """
    import pandas as pd  # not above: planning needs ConfigError alone, and must stay fast

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise DataError(f"{path}: not a whole Parquet file ({one_line(error)}); {REMEDY}") from error


def read_tensors(path: str | Path, names: list[str] | None = None, framework: str = "pt", remedy: str = REMEDY) -> dict:
    """Return tensors of a safetensors file by name: all, or those in ``names``; ``framework`` is ``pt`` or ``numpy``.

    Raises:
        DataError: the file is missing, cut, not safetensors (a pickle, say) or lacks a tensor.
    """
    try:
        with safe_open(path, framework) as file:
            return {name: file.get_tensor(name) for name in (names or file.keys())}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({one_line(error)}); {remedy}") from error


def one_line(error: Exception) -> str:
    """Return what an error says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__

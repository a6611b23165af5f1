"""Where a job's messages go: its own log file, errors included."""

import logging
import sys
from pathlib import Path


def start(path: str) -> None:
    """Send warnings, tracebacks and log messages of this process to ``path``, line by line."""
    sys.stderr = Path(path).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115 - open until the process ends
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

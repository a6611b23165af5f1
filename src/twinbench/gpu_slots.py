"""One GPU for each job: Snakemake counts GPUs and assigns none, so two jobs could land on one card.

A slot is a lock file in the machine's temporary folder, one per GPU, which all runs on the machine share. The lock
belongs to the process: the system frees it when the owner dies, however it dies.
"""

import getpass
import logging
import os
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[FileLock] = []  # keeps the lock files open, and so locked, until the process ends


def claim_gpu(count: int, folder: Path | None = None, poll: float = 1.0) -> str | None:
    """Take a free GPU for the rest of this process and make it the only visible one; wait if none is free.

    Call it before CUDA starts. Where ``CUDA_VISIBLE_DEVICES`` is set already, a scheduler has assigned the GPU, and
    nothing is done.

    Args:
        count: number of GPUs of the machine.
        folder: where the lock files are; by default one of this user's in the temporary folder.
        poll: seconds between two looks for a free slot.

    Returns:
        The index of the GPU, as in ``CUDA_VISIBLE_DEVICES``; None without a GPU or where a scheduler assigned it.
    """
    if count == 0 or VISIBLE in os.environ:
        return None
    folder = folder or Path(tempfile.gettempdir()) / f"twinbench-gpus-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        for index in range(count):
            try:
                lock = FileLock(folder / f"{index}.lock").acquire(blocking=False).lock
            except Timeout:
                continue
            _held.append(lock)
            os.environ[VISIBLE] = str(index)
            log.info("took GPU %d of %d", index, count)
            return str(index)
        if not waiting:
            log.info("all %d GPUs are taken, waiting for one", count)
            waiting = True
        time.sleep(poll)

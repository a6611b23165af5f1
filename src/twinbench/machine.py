"""How a torch job uses the processor that it was given."""

import ctypes
import sys

import torch

# Parameters of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def prepare(threads: int) -> None:
    """Set up this process for training or evaluating small models.

    - ``threads`` threads, as Snakemake allotted, instead of one per core;
    - on a GPU convolutions in full float32, as matrix products are: torch's default, tf32, keeps 10 bits of 23;
    - denormal numbers, which decayed moments run into and which cost a hundred cycles each, become 0;
    - on Linux with glibc, memory of freed tensors stays with the process. By default much of it goes back to the
      system, and the next tensors are paged in again: evaluation then takes up to three times as long.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.set_flush_denormal(True)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)

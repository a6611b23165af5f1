"""The versions and hardware that a result was made with, as the job itself saw them."""

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("numpy", "pandas", "pyarrow", "safetensors", "snakemake", "torch", "torchvision", "twinbench")


def environment() -> dict[str, str]:
    """Return versions of Python and of the packages that shape a result, and the machine's processor."""
    versions = {package: version(package) for package in PACKAGES}
    return {"python": platform.python_version(), **versions, "system": platform.system(), "processor": processor()}


def version(package: str) -> str:
    """Return the version of an installed package, or that it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

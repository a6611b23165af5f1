"""Pre-trained weights of torchvision's ResNet-18: read without running code, checked, and written once."""

import hashlib
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from twinbench.files import DataError, one_line, read_tensors

REMEDY = "name another file in pretrained.resnet18"


def write_pretrained(source: Path | None, output: Path) -> None:
    """Check ResNet-18's weights and write them as float32, with their origin in the header (`read_origin`).

    Args:
        source: ``.pth`` with a state dict of tensors, or ``.safetensors``; None downloads torchvision's ImageNet
            weights.
        output: safetensors file: torchvision's names and shapes, without the batch norms' step counters.

    Raises:
        DataError: the weights cannot be read or downloaded, a tensor is missing, unexpected, of another shape or not
            finite; nothing is written then.
    """
    if source is None:
        tensors, origin = _download(), "ImageNet (torchvision download)"
    else:
        tensors = read_tensors(source, remedy=REMEDY) if source.suffix == ".safetensors" else _unpickled(source)
        origin = f"file {source.name} ({hashlib.sha256(source.read_bytes()).hexdigest()[:12]})"
    save_file(_checked(tensors, source or "torchvision's download"), output, {"origin": origin})


def read_origin(path: Path) -> str:
    """Return where the weights in a file of `write_pretrained` come from, in words."""
    with safe_open(path, "pt") as file:
        return file.metadata()["origin"]


def _checked(tensors: dict[str, Tensor], source: Path | str) -> dict[str, Tensor]:
    """Return the weights of torchvision's ResNet-18 as float32, without the batch norms' step counters.

    Old files, torchvision's own among them, have no such counters, and batch norm with a momentum does not use them.
    """
    from torchvision.models import resnet18  # 2.5 s of import that only this job pays

    with torch.device("meta"):  # shapes without memory
        expected = resnet18().state_dict()
    names = {name for name in expected | tensors if not name.endswith("num_batches_tracked")}
    for name in sorted(names):
        found, wanted, problem = tensors.get(name), expected.get(name), None
        if found is None:
            problem = "is missing"
        elif wanted is None:
            problem = "is none of torchvision's resnet18"
        elif found.shape != wanted.shape:
            problem = f"has shape {tuple(found.shape)}, not {tuple(wanted.shape)}"
        elif not (found.is_floating_point() and found.isfinite().all()):
            problem = "holds values that are not finite numbers"
        if problem:
            raise DataError(f"{source}: tensor {name} {problem}; {REMEDY}")
    return {name: tensors[name].float().contiguous() for name in expected if name in names}


def _unpickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth file; a pickle that would run code is refused, not run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        # torch's own message advises to load the file without this protection.
        why = "not read: damaged, or it holds more than tensors, such as code, which is never run"
        raise DataError(f"{path}: {why}; {REMEDY}") from error
    named = content.items() if isinstance(content, dict) else [(content, None)]
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in named):
        raise DataError(f"{path}: does not hold tensors by name, that is, a state dict and nothing else; {REMEDY}")
    return content


def _download() -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights; torchvision compares their hash with the one in the address."""
    from torchvision.models import ResNet18_Weights

    options = {"check_hash": True, "progress": False, "weights_only": True}
    try:
        with tempfile.TemporaryDirectory() as folder:
            return ResNet18_Weights.IMAGENET1K_V1.get_state_dict(model_dir=folder, **options)
    except (OSError, RuntimeError) as error:  # no connection; another hash
        why = f"not downloaded ({one_line(error)}); name a file in pretrained.resnet18"
        raise DataError(f"torchvision's ResNet-18 weights: {why}") from error

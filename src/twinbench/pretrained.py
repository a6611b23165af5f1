"""Pre-trained weights of torchvision's ResNet-18: read without running code, checked, and written once."""

import hashlib
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from twinbench.files import DataError, first_line, read_tensors

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
    checked = check_resnet18(tensors, source or "torchvision's download")
    save_file(checked, output, {"origin": origin})


def read_origin(path: Path) -> str:
    """Return where the weights in a file of `write_pretrained` come from, in words."""
    with safe_open(path, "pt") as file:
        return file.metadata()["origin"]


def check_resnet18(tensors: dict[str, Tensor], source: Path | str) -> dict[str, Tensor]:
    """Return the weights of torchvision's ResNet-18 as float32, without the batch norms' step counters.

    Old files, torchvision's own among them, have no such counters, and batch norm with a momentum does not use them.

    Raises:
        DataError: names file and tensor.
    """
    from torchvision.models import resnet18  # 2.5 s of import that only this job pays

    with torch.device("meta"):  # shapes without memory
        expected = _without_counters(resnet18().state_dict())
    tensors = _without_counters(tensors)
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise DataError(f"{source}: tensor {name} is missing; {REMEDY}")
        if name not in expected:
            raise DataError(f"{source}: tensor {name} is none of torchvision's resnet18; {REMEDY}")
        found, shape = tensors[name], tuple(expected[name].shape)
        if tuple(found.shape) != shape:
            raise DataError(f"{source}: tensor {name} has shape {tuple(found.shape)}, not {shape}; {REMEDY}")
        if not (found.is_floating_point() and found.isfinite().all()):
            raise DataError(f"{source}: tensor {name} holds values that are not finite numbers; {REMEDY}")
    return {name: tensors[name].float().contiguous() for name in expected}


def _without_counters(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}


def _unpickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth file; a pickle that would run code is refused, not run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        # torch's own message advises to load the file without this protection.
        raise DataError(
            f"{path}: not read: damaged, or it holds more than tensors, such as code, which is never run; {REMEDY}"
        ) from error
    named = content.items() if isinstance(content, dict) else [(content, None)]
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in named):
        raise DataError(f"{path}: does not hold tensors by name, that is, a state dict and nothing else; {REMEDY}")
    return content


def _download() -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights, whose hash torchvision compares with the one in their address."""
    from torchvision.models import ResNet18_Weights

    try:
        with tempfile.TemporaryDirectory() as folder:
            weights = ResNet18_Weights.IMAGENET1K_V1
            return weights.get_state_dict(model_dir=folder, check_hash=True, progress=False, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; another hash
        raise DataError(
            f"torchvision's ResNet-18 weights: not downloaded ({first_line(error)}); name a file in pretrained.resnet18"
        ) from error

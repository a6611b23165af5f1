"""The contract that every architecture keeps, and where it is declared."""

from collections.abc import Callable
from typing import TypedDict

from torch import Tensor, nn

# Shapes: B pairs in a batch, two images per pair, 14×14 pixels, 2 target classes, 10 digit classes.
IMAGE = 14


class Heads(TypedDict, total=False):
    """The answer of an architecture: the logits of each head that it has."""

    target: Tensor  # (B, 2): class 1 says "left ≤ right"; or (B, 1), trained by squared differences: above 0 says so
    digits: Tensor  # (B, 2, 10): the digit of the left and of the right image


ARCHITECTURES: dict[str, type[nn.Module]] = {}


def register(
    name: str, *, heads: tuple[str, ...], parameters: int, pretrained: str | None = None, task: str = "pairs",
    loss: str = "cross-entropy", strategy: str | None = None,
) -> Callable[[type[nn.Module]], type[nn.Module]]:  # fmt: skip
    """Class decorator: make an ``nn.Module`` an architecture that a study can name.

    The module's ``forward`` takes scaled pairs (B, 2, 14, 14) and returns `Heads`. Its ``__init__``, its own or
    that of a class above it in the file, takes only options with defaults, annotated ``bool``, ``int``, ``float``,
    ``str``, ``Literal[...]`` or a list of those. The arguments must be literals: planning reads them from the source
    (`catalog`), without importing torch.

    Args:
        name: what ``architecture:`` in a study file says.
        heads: the keys of `Heads` that forward returns.
        parameters: number of trainable parameters with default options; the contract test counts them.
        pretrained: the key under ``pretrained:`` in config.yaml that says where the module starts. It then has a method
            ``load_pretrained(tensors)``, which takes over tensors by name as `twinbench.pretrained` writes them.
        task: the task whose examples the module takes: ``pairs``, or points (B, 2) of the ``disc``.
        loss: of the target head: ``cross-entropy`` of two logits, or ``mse`` of one output.
        strategy: package module whose ``STRATEGY`` trains the module; None for autograd and torch.optim.
    """

    def add(cls: type[nn.Module]) -> type[nn.Module]:
        ARCHITECTURES[name] = cls
        return cls

    return add

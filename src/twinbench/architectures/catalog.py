"""Which architectures there are. They are read from their source, because planning a DAG must not import torch."""

import ast
import importlib
import typing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
ANNOTATIONS = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "Literal": typing.Literal}


@dataclass(frozen=True)
class Architecture:
    """One ``@register``-ed class: where it is, what it declares, its options as name → (type, default), its parts.

    ``parts`` are the modules that ``__init__`` sets on ``self``, its own or that of a base class in the same file. A
    phase of the training may train only some of them.
    """

    name: str
    module: str
    heads: tuple[str, ...]
    parameters: int
    options: dict[str, tuple[type, object]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    pretrained: str | None = None
    task: str = "pairs"
    loss: str = "cross-entropy"
    strategy: str | None = None

    @property
    def modules(self) -> list[str]:
        """The package modules that are loaded by name to build and train it."""
        return [self.module, f"twinbench.tasks.{self.task}", *filter(None, [self.strategy])]

    def own_strategy(self):
        """Return the class that trains it without torch's autograd and optimisers; None if torch trains it."""
        return importlib.import_module(self.strategy).STRATEGY if self.strategy else None

    def build(self, **options: object):
        """Import the one module that holds the architecture and return a new, randomly initialised ``nn.Module``."""
        importlib.import_module(self.module)
        from twinbench.architectures.registry import ARCHITECTURES

        return ARCHITECTURES[self.name](**options)


# The __init__ of a class, its own or inherited, and the parts that it sets. None stands for nn.Module's __init__, which
# takes no options. The name of a base stands for an __init__ that this file does not show.
Inherited = tuple[ast.FunctionDef | str | None, tuple[str, ...]]


@cache
def architectures() -> dict[str, Architecture]:
    """Return every architecture of the package by name.

    Raises:
        ValueError: two classes register the same name, an option has no default or an unknown annotation, or a class
            inherits its ``__init__`` from another file.
    """
    found: dict[str, Architecture] = {}
    for path in sorted(FOLDER.glob("*.py")):
        classes: dict[str, Inherited] = {"nn.Module": (None, ()), "torch.nn.Module": (None, ())}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef):
                continue
            init, parts = classes[node.name] = _resolve(node, classes)
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "register":
                    declared = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
                    name, module = ast.literal_eval(call.args[0]), f"twinbench.architectures.{path.stem}"
                    if name in found:
                        raise ValueError(f"{path}: architecture {name} is registered twice")
                    options = _options(path, node.name, init)
                    found[name] = Architecture(name, module, options=options, parts=parts, **declared)
    return found


def _resolve(node: ast.ClassDef, earlier: dict[str, Inherited]) -> Inherited:
    """Return a class's ``__init__`` and parts, its own or (in Python's order) inherited from ``earlier`` ones."""
    bases = [earlier.get(name, (name, ())) for name in map(ast.unparse, node.bases)]
    parts = [part for _, of_base in bases for part in of_base]
    init = next((item for item in node.body if getattr(item, "name", None) == "__init__"), None)
    if init:
        assigned = [target for line in init.body if isinstance(line, ast.Assign) for target in line.targets]
        parts += [target.attr for target in assigned if ast.unparse(target).startswith("self.")]
    return init or next((inherited for inherited, _ in bases if inherited), None), tuple(dict.fromkeys(parts))


def _options(path: Path, name: str, init: ast.FunctionDef | str | None) -> dict[str, tuple[type, object]]:
    """Return the options that the ``__init__`` of the class ``name`` takes, as name → (type, default)."""
    if init is None:
        return {}
    if isinstance(init, str):
        needed = f"{name} needs an __init__ in this file, its own or that of a class above it"
        raise ValueError(f"{path}: {needed}: the options of {init} are not read from elsewhere")
    options, given = {}, init.args
    named = given.args[1:]  # without self
    if len(named) != len(given.defaults) or given.kwonlyargs or given.vararg or given.kwarg:
        raise ValueError(f"{path}: every option of {name} needs a default, and no other arguments are allowed")
    for argument, default in zip(named, given.defaults, strict=True):
        try:
            annotation = eval(ast.unparse(argument.annotation), {"__builtins__": {}}, ANNOTATIONS)
        except Exception as error:
            known = list(ANNOTATIONS)
            raise ValueError(f"{path}: option {argument.arg} of {name} needs one of {known} as its type") from error
        options[argument.arg] = (annotation, ast.literal_eval(default))
    return options

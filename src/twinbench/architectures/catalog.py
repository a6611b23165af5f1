"""What architectures there are, read from their source: planning a DAG must not import torch."""

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

    ``parts`` are the modules that ``__init__`` sets on ``self``, or a base's in the same file does; a phase of the
    training may train some of them.
    """

    name: str
    module: str
    heads: tuple[str, ...]
    parameters: int
    options: dict[str, tuple[type, object]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    pretrained: str | None = None

    def build(self, **options: object):
        """Import the one module that holds the architecture and return a new, randomly initialised ``nn.Module``."""
        importlib.import_module(self.module)
        from twinbench.architectures.registry import ARCHITECTURES

        return ARCHITECTURES[self.name](**options)


@dataclass(frozen=True)
class _Class:
    """A class of a file: the ``__init__`` that it has or inherits, the parts that it sets, and who hides them.

    ``init`` is None where it is nn.Module's own, which takes no options. ``hidden_by`` is a base of which the file does
    not say whether it has an ``__init__``.
    """

    init: ast.FunctionDef | None = None
    parts: tuple[str, ...] = ()
    hidden_by: str | None = None


@cache
def architectures() -> dict[str, Architecture]:
    """Return every architecture of the package by name.

    Raises:
        ValueError: two classes register the same name, an option has no default or an unknown annotation, or a class
            inherits its ``__init__`` from another file.
    """
    found: dict[str, Architecture] = {}
    for path in sorted(FOLDER.glob("*.py")):
        classes = {"nn.Module": _Class(), "torch.nn.Module": _Class()}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef):
                continue
            classes[node.name] = _resolve(node, classes)
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "register":
                    entry = _read(path, node, classes[node.name], decorator)
                    if entry.name in found:
                        raise ValueError(f"{path}: architecture {entry.name} is registered twice")
                    found[entry.name] = entry
    return found


def _resolve(node: ast.ClassDef, earlier: dict[str, _Class]) -> _Class:
    """Return what a class says itself and inherits from those ``earlier`` in its file, in Python's order of bases."""
    names = [ast.unparse(base) for base in node.bases]
    bases = [earlier.get(name, _Class(hidden_by=name)) for name in names]
    parts = [part for base in bases for part in base.parts]
    if init := next((item for item in node.body if getattr(item, "name", None) == "__init__"), None):
        assigned = [target for line in init.body if isinstance(line, ast.Assign) for target in line.targets]
        parts += [target.attr for target in assigned if ast.unparse(target).startswith("self.")]
        return _Class(init, tuple(dict.fromkeys(parts)))
    heir = next((base for base in bases if base.init or base.hidden_by), _Class())
    return _Class(heir.init, tuple(dict.fromkeys(parts)), heir.hidden_by)


def _read(path: Path, node: ast.ClassDef, resolved: _Class, decorator: ast.Call) -> Architecture:
    if resolved.hidden_by:
        raise ValueError(
            f"{path}: {node.name} needs an __init__ in this file, its own or that of a class above it: the options of "
            f"{resolved.hidden_by} are not read from elsewhere"
        )
    declared = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
    name = ast.literal_eval(decorator.args[0])
    module = f"twinbench.architectures.{path.stem}"
    options = _options(path, node.name, resolved.init.args) if resolved.init else {}
    return Architecture(name, module, options=options, parts=resolved.parts, **declared)


def _options(path: Path, name: str, arguments: ast.arguments) -> dict[str, tuple[type, object]]:
    """Return the options of a class's ``__init__`` as name → (type, default)."""
    options = {}
    named = arguments.args[1:]  # without self
    if len(named) != len(arguments.defaults) or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        raise ValueError(f"{path}: every option of {name} needs a default, and no other arguments are allowed")
    for argument, default in zip(named, arguments.defaults, strict=True):
        try:
            annotation = eval(ast.unparse(argument.annotation), {"__builtins__": {}}, ANNOTATIONS)
        except Exception as error:
            raise ValueError(
                f"{path}: option {argument.arg} of {name} needs one of {list(ANNOTATIONS)} as its type"
            ) from error
        options[argument.arg] = (annotation, ast.literal_eval(default))
    return options

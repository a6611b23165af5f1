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

    ``parts`` are the modules that ``__init__`` sets on ``self``; a phase of the training may train some of them.
    """

    name: str
    module: str
    heads: tuple[str, ...]
    parameters: int
    options: dict[str, tuple[type, object]] = field(default_factory=dict)
    pretrained: str | None = None
    parts: tuple[str, ...] = ()

    def build(self, **options: object):
        """Import the one module that holds the architecture and return a new, randomly initialised ``nn.Module``."""
        importlib.import_module(self.module)
        from twinbench.architectures.registry import ARCHITECTURES

        return ARCHITECTURES[self.name](**options)


@cache
def architectures() -> dict[str, Architecture]:
    """Return every architecture of the package by name.

    Raises:
        ValueError: two classes register the same name, or an option has no default or an unknown annotation.
    """
    found: dict[str, Architecture] = {}
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for decorator in getattr(node, "decorator_list", []):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "register":
                    entry = _read(path, node, decorator)
                    if entry.name in found:
                        raise ValueError(f"{path}: architecture {entry.name} is registered twice")
                    found[entry.name] = entry
    return found


def _read(path: Path, node: ast.ClassDef, decorator: ast.Call) -> Architecture:
    declared = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
    init = next((item for item in node.body if getattr(item, "name", None) == "__init__"), None)
    options, parts = {}, ()
    if init:
        assigned = [target for line in init.body if isinstance(line, ast.Assign) for target in line.targets]
        parts = tuple(target.attr for target in assigned if ast.unparse(target).startswith("self."))
        arguments = init.args.args[1:]  # without self
        defaults = init.args.defaults
        if len(arguments) != len(defaults) or init.args.kwonlyargs or init.args.vararg or init.args.kwarg:
            raise ValueError(f"{path}: every option of {node.name} needs a default, and no other arguments are allowed")
        for argument, default in zip(arguments, defaults, strict=True):
            try:
                annotation = eval(ast.unparse(argument.annotation), {"__builtins__": {}}, ANNOTATIONS)
            except Exception as error:
                raise ValueError(
                    f"{path}: option {argument.arg} of {node.name} needs one of {list(ANNOTATIONS)} as its type"
                ) from error
            options[argument.arg] = (annotation, ast.literal_eval(default))
    name = ast.literal_eval(decorator.args[0])
    module = f"twinbench.architectures.{path.stem}"
    return Architecture(name, module, options=options, parts=parts, **declared)

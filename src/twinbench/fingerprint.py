"""Digests of package modules: among a rule's params, they make Snakemake see edits to imported code."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import grimp

SOURCE = Path(__file__).parent.parent


@cache
def digest(*modules: str, script: str | None = None) -> str:
    """Return a digest of the code of ``modules`` and of every package module that they import, directly or not.

    Comments, docstrings, layout and modification times do not count.

    Args:
        modules: e.g. ``twinbench.training.cell``.
        script: a Python file outside the package whose code counts as well.

    Raises:
        ModuleNotFoundError: the package has no such module.
    """
    graph = _imports()
    closure = set(modules)
    for module in modules:
        if module not in graph.modules:
            raise ModuleNotFoundError(f"{module} is not a module of twinbench")
        closure |= graph.find_upstream_modules(module)
    sources = [_path(module) for module in sorted(closure)] + ([Path(script)] if script else [])
    return hashlib.sha256("\n".join(_code(path) for path in sources).encode()).hexdigest()[:16]


@cache
def _imports() -> grimp.ImportGraph:
    return grimp.build_graph("twinbench", cache_dir=None)


def _path(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _code(path: Path) -> str:
    """Return the file's code in one layout, without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)

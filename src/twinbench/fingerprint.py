"""Digests of package modules: among a rule's params, they make Snakemake see edits to imported code."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import grimp

SOURCE = Path(__file__).parent.parent


# Says where messages go and changes no result.
IGNORED = {"twinbench.joblog"}


@cache
def digest(script: Path, *modules: str) -> str:
    """Return a digest of the code of a script and of all package modules that it imports, directly or not.

    Comments, docstrings, layout and modification times do not count.

    Args:
        script: a Python file outside the package.
        modules: package modules that it loads by name, where no import says so, e.g. the one of an architecture.

    Raises:
        ModuleNotFoundError: the package has no such module.
        ValueError: the script imports the package in a way that cannot be followed.
    """
    graph = _imports()
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name.startswith("twinbench") for alias in node.names):
            raise ValueError(f"{script}: write `from twinbench.module import name`, which a digest can follow")
        if isinstance(node, ast.ImportFrom) and node.module == "twinbench":
            imported |= {f"twinbench.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("twinbench."):
            imported.add(node.module)
    closure = set()
    for module in imported.union(modules) - IGNORED:
        if module not in graph.modules:
            raise ModuleNotFoundError(f"{module} is not a module of twinbench")
        closure |= {module} | graph.find_upstream_modules(module)
    sources = [script] + [_path(module) for module in sorted(closure)]
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

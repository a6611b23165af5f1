"""Digests of package modules: among a rule's params, they make Snakemake see edits to imported code."""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

import grimp

SOURCE = Path(__file__).parent.parent

# Modules that change no result. A module that only these import is left out as well.
IGNORED = {
    "twinbench.joblog",  # says where messages go
    "twinbench.gpu_slots",  # makes a job wait for a card of its own, and has no part in the training
    "twinbench.provenance",  # notes what a training ran with; the report shows this, so its rule names the module
}

LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
CLASS = re.compile(r"(.*\.)?_*[A-Z]\w*")  # a class; a function may choose an exception by its arguments


@cache
def digest(script: Path, *modules: str) -> str:
    """Return a digest of the code of a script and of all package modules that it imports, directly or not.

    These do not count: comments, docstrings, layout, modification times, the `IGNORED` modules, and the arguments of
    raised exceptions and of log calls. So no such argument may have a side effect, such as a draw of random numbers,
    and no handler may compute with the text of an exception.

    Args:
        script: a Python file outside the package.
        modules: further package modules that no import names, e.g. the one of an architecture; they count even if
            `IGNORED`.

    Raises:
        ModuleNotFoundError: the package has no such module.
        ValueError: the script imports the package in a way that cannot be followed.
    """
    graph, found, waiting = _imports(), set(), [*_imported(script) - IGNORED, *modules]
    while waiting:
        module = waiting.pop()
        if module not in graph.modules:
            raise ModuleNotFoundError(f"{module} is not a module of twinbench")
        if module not in found:
            found.add(module)
            waiting += graph.find_modules_directly_imported_by(module) - IGNORED
    sources = [script, *map(_path, sorted(found))]
    return hashlib.sha256("\n".join(map(_code, sources)).encode()).hexdigest()[:16]


def _imported(script: Path) -> set[str]:
    """Return the package modules that a script imports itself."""
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names) if any(alias.name.startswith("twinbench") for alias in names):
                raise ValueError(f"{script}: write `from twinbench.module import name`, which a digest can follow")
            case ast.ImportFrom(module="twinbench", names=names):
                imported |= {f"twinbench.{alias.name}" for alias in names}
            case ast.ImportFrom(module=str(module)) if module.startswith("twinbench."):
                imported.add(module)
    return imported


@cache
def _imports() -> grimp.ImportGraph:
    return grimp.build_graph("twinbench", cache_dir=None)


def _path(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _code(path: Path) -> str:
    """Return the part of the file's code that counts, in one layout."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    log_calls = {f"log.{method}" for method in LOG_METHODS} if "getLogger" in text and _has_log(tree) else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if CLASS.fullmatch(ast.unparse(node.exc.func)):
                _drop_arguments(node.exc)
        elif log_calls and isinstance(node, ast.Call) and ast.unparse(node.func) in log_calls:
            _drop_arguments(node)
    return ast.unparse(tree)


def _has_log(tree: ast.Module) -> bool:
    """Return whether `log` is the module's logger, and no other ``log``, such as a local path, hides it."""
    assigned = [ast.unparse(line) for line in tree.body if isinstance(line, ast.Assign)]
    bound = 0
    for node in ast.walk(tree):
        named = (getattr(node, key, None) for key in ("arg", "name", "asname"))
        stored = isinstance(node, ast.Name) and node.id == "log" and not isinstance(node.ctx, ast.Load)
        bound += stored or not {"log", "*"}.isdisjoint(named)
    return bound == 1 and any(line.startswith("log = logging.getLogger(") for line in assigned)


def _drop_arguments(call: ast.Call) -> None:
    """Drop a call's arguments, unless they bind a name or hand a value in or out: later code would notice."""
    noticed = ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await
    arguments = [*call.args, *call.keywords]
    if not any(isinstance(node, noticed) for argument in arguments for node in ast.walk(argument)):
        call.args, call.keywords = [], []

"""Digests of package modules: among a rule's params, they make Snakemake see edits to imported code."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import grimp

SOURCE = Path(__file__).parent.parent

# Modules that change no result. What nothing but these imports is left out as well.
IGNORED = {
    "twinbench.joblog",  # says where messages go
    "twinbench.gpu_slots",  # makes a job wait for a card of its own; how it trains there is written elsewhere
    "twinbench.provenance",  # notes what a training ran with, after the training; the report, which shows it, names it
}

LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


@cache
def digest(script: Path, *modules: str) -> str:
    """Return a digest of the code of a script and of all package modules that it imports, directly or not.

    These do not count: comments, docstrings, layout, modification times, the `IGNORED` modules, and the arguments of
    raised exceptions and of log calls. So no such argument may have a side effect, such as a draw of random numbers,
    and no handler may compute with the text of an exception.

    Args:
        script: a Python file outside the package.
        modules: further package modules, where no import says so, e.g. the one of an architecture; they count even if
            `IGNORED`.

    Raises:
        ModuleNotFoundError: the package has no such module.
        ValueError: the script imports the package in a way that cannot be followed.
    """
    sources = [script] + [_path(module) for module in sorted(_closure(_imported(script) - IGNORED | set(modules)))]
    return hashlib.sha256("\n".join(_code(path) for path in sources).encode()).hexdigest()[:16]


def _imported(script: Path) -> set[str]:
    """Return the package modules that a script imports itself."""
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name.startswith("twinbench") for alias in node.names):
            raise ValueError(f"{script}: write `from twinbench.module import name`, which a digest can follow")
        if isinstance(node, ast.ImportFrom) and node.module == "twinbench":
            imported |= {f"twinbench.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("twinbench."):
            imported.add(node.module)
    return imported


def _closure(modules: set[str]) -> set[str]:
    """Return the modules and all that they import, directly or not, without going through an ignored one."""
    graph, found, waiting = _imports(), set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in graph.modules:
            raise ModuleNotFoundError(f"{module} is not a module of twinbench")
        if module not in found:
            found.add(module)
            waiting += graph.find_modules_directly_imported_by(module) - IGNORED
    return found


@cache
def _imports() -> grimp.ImportGraph:
    return grimp.build_graph("twinbench", cache_dir=None)


def _path(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _code(path: Path) -> str:
    """Return what counts of the file's code, in one layout."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    has_log = _has_log(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Raise) and _makes_exception(node.exc):
            _drop_arguments(node.exc)
        elif has_log and _is_log_call(node):
            _drop_arguments(node)
    return ast.unparse(tree)


def _has_log(tree: ast.Module) -> bool:
    """Return whether `log` is the module's logger, and nothing else of that name, such as a local path, hides it."""
    return any(map(_makes_log, tree.body)) and sum(map(_binds_log, ast.walk(tree))) == 1


def _makes_log(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="log")], value=ast.Call(func=ast.Attribute(attr="getLogger"))):
            return True
    return False


def _binds_log(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="log", ctx=ast.Store() | ast.Del()) | ast.arg(arg="log"):
            return True
        case ast.FunctionDef(name="log") | ast.ClassDef(name="log") | ast.ExceptHandler(name="log"):
            return True
        case ast.alias(name=name, asname=asname):
            return (asname or name) in ("log", "*")
    return False


def _makes_exception(raised: ast.expr | None) -> bool:
    """Return whether an exception is made of its class: a function may choose the class by its arguments."""
    return isinstance(raised, ast.Call) and ast.unparse(raised.func).rpartition(".")[2].lstrip("_")[:1].isupper()


def _is_log_call(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=method)):
            return method in LOG_METHODS
    return False


def _drop_arguments(call: ast.Call) -> None:
    """Drop a call's arguments, unless they bind a name or hand a value in or out, which the code after it notices."""
    noticed = ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await
    arguments = [*call.args, *call.keywords]
    if not any(isinstance(node, noticed) for argument in arguments for node in ast.walk(argument)):
        call.args, call.keywords = [], []

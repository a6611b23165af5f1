"""What figures there are, read from their source: planning a DAG must not import matplotlib."""

import ast
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def figures() -> dict[str, str]:
    """Return the caption of every figure that a study can name: a module that defines ``draw``, and its docstring."""
    return _captions("draw")


@cache
def captions() -> dict[str, str]:
    """Return the caption of every figure, those of sweeps and the one over all studies included."""
    return figures() | _captions("draw_overview") | _captions("draw_sweep")


@cache
def disc_captions() -> dict[str, str]:
    """Return the caption of every figure of the from-scratch study: a module that defines ``draw_disc``."""
    return _captions("draw_disc")


def _captions(function: str) -> dict[str, str]:
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body):
            found[path.stem] = " ".join(ast.get_docstring(tree).split())
    return found

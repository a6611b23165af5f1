"""Which figures there are. They are read from their source, because planning a DAG must not import matplotlib.

A figure is a module that defines ``draw(results, path)``. Its docstring is the caption, ``TABLES`` names the tables of
the study that it draws from, ``TASK``, ``NEEDS`` and ``CURVES`` say which studies can have it.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twinbench.files import ConfigError
from twinbench.spec.study import Study

FOLDER = Path(__file__).parent
DECLARED = ("TABLES", "TASK", "NEEDS", "CURVES")  # what a figure's module may declare
NEEDS = {  # need of a figure → how to check a study for it, and words for a message
    "folds": (lambda study: study.protocol.folds, "protocol.folds; any other is allowed"),
    "changing objective": (
        lambda study: any(model.objective.varies for model in study.models.values()),
        "a model whose objective changes from epoch to epoch",
    ),
}


@dataclass(frozen=True)
class Figure:
    """The declarations of a figure's module."""

    caption: str
    tables: tuple[str, ...]  # of the study: metrics, cells, history, errors, hardest or predictions
    task: str | None = None  # the only task that it is about; None: any
    needs: str | None = None  # a key of `NEEDS`, or "sweep", whose figures no other study can have
    curves: tuple[str, ...] = ()  # the splits whose curves it draws; the protocol must record them


@cache
def figures() -> dict[str, Figure]:
    """Return every figure that a study or a sweep can have, by name."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "draw" for node in tree.body):
            declared = {
                node.targets[0].id: ast.literal_eval(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in DECLARED
            }
            caption = " ".join(ast.get_docstring(tree).split())
            found[path.stem] = Figure(caption, **{name.lower(): value for name, value in declared.items()})
    return found


def captions() -> dict[str, str]:
    """Return the caption of every figure by name, including the overview of all studies."""
    overview = ast.get_docstring(ast.parse((FOLDER / "overview.py").read_text(encoding="utf-8")))
    return {name: figure.caption for name, figure in figures().items()} | {"overview": " ".join(overview.split())}


def check_figures(studies: Iterable[Study]) -> None:
    """Check that the studies can have the figures that they name.

    Raises:
        ConfigError: one line that names file and figure.
    """
    for study in studies:
        of_task = {name: figure for name, figure in figures().items() if figure.task in (None, study.task)}
        fitting = {name: figure for name, figure in of_task.items() if (figure.needs == "sweep") == bool(study.swept)}
        for name in study.figures:
            if name not in fitting:
                allowed = ", ".join(fitting)
                raise ConfigError(f"{study.file}: figures: unknown figure {name!r}; allowed: {allowed}")
            if study.figures.count(name) > 1:
                raise ConfigError(f"{study.file}: figures: {name!r} is named twice; each figure once is allowed")
            if (need := NEEDS.get(fitting[name].needs)) and not need[0](study):
                raise ConfigError(f"{study.file}: figures: {name!r} needs {need[1]}")
            if lacking := [split for split in fitting[name].curves if split not in study.protocol.curves.splits]:
                reason = f"draws curves that protocol.curves.splits does not record: {', '.join(lacking)}"
                raise ConfigError(f"{study.file}: figures: {name!r} {reason}")

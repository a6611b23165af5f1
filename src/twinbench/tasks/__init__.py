"""The tasks of the studies: pairs of images, or points of the disc. This module never imports torch.

A task says how its examples are drawn, what a table of them holds, and which names go into the seeds. `tensors` turns
such a table into the tensors that a training works on.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd

from twinbench.files import read_tensors


def task_of(name: str) -> ModuleType:
    """Return the module of a task. No import names the module, so an edit of one task reruns nothing of another."""
    return import_module(f"twinbench.tasks.{name}")


def draw(task: str, rounds: range, images: Path | None, **settings: object) -> pd.DataFrame:
    """Return the examples of some rounds, a row per pair or point.

    Args:
        task: ``pairs`` or ``disc``.
        images: pooled images (`data.images.write_images`); None for the disc, which needs none.
        settings: the rest of the study's slice (`spec.study.Study.draw`).
    """
    if images:
        tensors = read_tensors(images, ["train_labels", "test_labels"], framework="numpy")
        settings["labels"] = {part: tensors[f"{part}_labels"] for part in ("train", "test")}
    return task_of(task).draw(rounds, **settings)

"""The run record: how a training job went. It names its cell, so that no reader pairs files by their order."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from twinbench.files import DataError, one_line


@dataclass(frozen=True)
class Ended:
    """How one training ended: that of one round and fold."""

    round: int
    fold: str  # a number as text, or ``all``
    status: str  # ok or diverged
    reason: str  # why it stopped, in words
    epochs: int  # trained
    best_epoch: int  # whose weights were kept
    train_seconds: float  # in training steps


@dataclass(frozen=True)
class Record:
    """One training job. A record of an older version may lack some fields, which are then None, or have others."""

    study: str
    model: str
    trainings: list[Ended]
    parameters: int
    flops: int | None = None  # of one example's forward pass
    device: str | None = None
    threads: int | None = None
    strategy: str | None = None
    initial_weights: str | None = None  # random, or where they come from
    data_seconds: float | None = None  # of loading, for all trainings together
    evaluate_seconds: float | None = None  # of the evaluations after each epoch, likewise
    environment: dict[str, str] | None = None

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> "Record":
        """Return the record in a file.

        Raises:
            DataError: the file is missing, no JSON, or lacks the cell's names or how its trainings ended.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            names = [field.name for field in fields(Ended)]
            content["trainings"] = [Ended(*(ended[name] for name in names)) for ended in content["trainings"]]
            return cls(**{field.name: content[field.name] for field in fields(cls) if field.name in content})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a whole run record ({one_line(error)}); delete it and run again") from error

    def rows(self) -> pd.DataFrame:
        """Return a row per training: the cell's names, how the training ended, cost, hardware and versions.

        Loading and evaluating are timed for the job as a whole: each of its trainings gets an equal share.
        """
        of_job = {k: v for k, v in vars(self).items() if k not in ("trainings", "environment")}
        for key in ("data_seconds", "evaluate_seconds"):
            of_job[key] = of_job[key] and of_job[key] / len(self.trainings)
        return pd.DataFrame([vars(ended) | of_job | (self.environment or {}) for ended in self.trainings])

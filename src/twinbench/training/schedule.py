"""Objectives as data: which loss weighs how much in an epoch, and which parts of the model it trains.

Reads what `config.models.Objective` dumps, without torch.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Stage:
    """What one epoch trains."""

    weights: dict[str, float]  # of the ``target`` and of the ``digits`` loss
    parts: tuple[str, ...] | None  # names of the model's children that are trained; None for all


def stage_at(objective: dict, epoch: int, epochs: int) -> Stage:
    """Return what epoch ``epoch`` of ``epochs``, counted from 1, trains.

    A linear weight is start + (end − start)·e/E after e of E epochs: with 1 and 0 the hand-over of report 3, whose
    digit loss weighs (E − e)/E. Inside a phase, e and E count the phase's epochs.
    """
    ends = list(accumulate(phase_epochs(objective, epochs)))
    number = bisect_left(ends, epoch)
    phase, first = _phases(objective)[number], ends[number - 1] if number else 0
    progress = (epoch - 1 - first) / (ends[number] - first)
    weights = {head: _at(phase[head], progress) for head in ("target", "digits")}
    return Stage(weights, phase["train"] and tuple(phase["train"]))


def phase_epochs(objective: dict, epochs: int) -> list[int]:
    """Return how many of ``epochs`` each phase has; one number without phases."""
    ends = [round(share * epochs) for share in accumulate(phase["share"] for phase in _phases(objective))]
    return [end - start for start, end in pairwise([0, *ends])]


def _phases(objective: dict) -> list[dict]:
    return objective.get("phases") or [objective | {"share": 1.0, "train": None}]


def _at(weight: float | dict[str, float], progress: float) -> float:
    if isinstance(weight, dict):
        return weight["start"] + (weight["end"] - weight["start"]) * progress
    return weight

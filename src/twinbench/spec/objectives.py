"""Objectives as typed models: weights of the losses, in phases that follow each other."""

from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from twinbench.spec.fields import NonNegative, Number, Strict

HEADS = ("target", "digits")


class Linear(Strict):
    """A weight that changes linearly, from ``start`` in the first epoch to ``end`` one epoch after the last.

    A plain number stands for a constant weight.
    """

    start: NonNegative
    end: NonNegative

    @model_serializer
    def _short(self) -> float | dict[str, float]:
        return self.start if self.start == self.end else {"start": self.start, "end": self.end}

    def __bool__(self) -> bool:
        return self.start > 0 or self.end > 0


def _as_linear(value: Any) -> Any:
    return value if isinstance(value, dict | Linear) else {"start": value, "end": value}


Weight = Annotated[Linear, BeforeValidator(_as_linear, json_schema_input_type=NonNegative | Linear)]


class Weights(Strict):
    """Weights of the losses: for the target head, and for the digits added up. A default value is not written."""

    target: Weight = Linear(start=0, end=0)
    digits: Weight = Linear(start=0, end=0)
    digit_images: Literal["both", "left", "right"] = "both"  # whose digit losses count

    @model_serializer(mode="wrap")
    def _short(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value and value != "both"}


class Phase(Weights):
    """One part of a training: its share of the epochs, its weights, and which parts of the model it trains."""

    share: Annotated[Number, Field(gt=0, lt=1)]
    train: Annotated[list[str], Field(min_length=1)] | None = None  # None: all; a frozen part is in evaluation mode
    new_optimizer: bool = False  # it forgets its moments at the start of the phase


class Stage(NamedTuple):
    """The weights and the parts that one epoch trains."""

    weights: dict[str, float]  # of the ``target`` and of the ``digits`` loss
    parts: tuple[str, ...] | None  # names of the model's children that are trained; None for all
    digit_images: str = "both"  # whose digit losses count
    new_optimizer: bool = False  # whether the optimiser starts anew


class Objective(Weights):
    """The objective of a model: weights for the whole training, or phases that follow each other."""

    phases: Annotated[list[Phase], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _trains(self) -> "Objective":
        if self.phases and (self.target or self.digits or self.digit_images != "both"):
            own = "target, digits and digit_images"
            raise ValueError(f"phases: each phase has its own weights; {own} are allowed without phases")
        if self.phases and abs(sum(phase.share for phase in self.phases) - 1) > 1e-9:
            raise ValueError("phases: the shares must add up to 1")
        for number, phase in enumerate(self.in_turn):
            if not (phase.target or phase.digits):
                key = f"phases.{number}: " if self.phases else ""
                raise ValueError(f"{key}no head is trained; allowed: target, digits or both above 0")
        return self

    @property
    def in_turn(self) -> list[Phase]:
        """The phases; weights for the whole training make a single one."""
        if self.phases:
            return self.phases
        return [Phase.model_construct(share=1.0, **{key: getattr(self, key) for key in Weights.model_fields})]

    @property
    def varies(self) -> bool:
        """Whether the weights change from epoch to epoch."""
        weights = [getattr(phase, head) for phase in self.in_turn for head in HEADS]
        return len(self.in_turn) > 1 or any(weight.start != weight.end for weight in weights)

    @property
    def trained(self) -> list[str]:
        """The heads that any part of the training trains."""
        return [head for head in HEADS if any(getattr(phase, head) for phase in self.in_turn)]

    def epochs(self, epochs: int) -> list[int]:
        """Return how many of ``epochs`` each phase has."""
        ends = [round(share * epochs) for share in accumulate(phase.share for phase in self.in_turn)]
        return [end - start for start, end in pairwise([0, *ends])]

    def stage(self, epoch: int, epochs: int) -> Stage:
        """Return the stage of epoch ``epoch`` of ``epochs``, counted from 1.

        A linear weight is start + (end − start)·e/E after e of E epochs: from 1 to 0, it is the weight
        (E − e)/E of report 3's digit loss. Inside a phase, e and E count the phase's epochs.
        """
        ends = list(accumulate(self.epochs(epochs)))
        number = bisect_left(ends, epoch)
        phase, first = self.in_turn[number], ends[number - 1] if number else 0
        progress = (epoch - 1 - first) / (ends[number] - first)
        weights = {head: getattr(phase, head) for head in HEADS}
        now = {head: weight.start + (weight.end - weight.start) * progress for head, weight in weights.items()}
        starts = phase.new_optimizer and epoch == first + 1
        return Stage(now, phase.train and tuple(phase.train), phase.digit_images, starts)

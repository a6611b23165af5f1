"""What a model is trained for, as typed models: weights of the losses, constant, linear in the epoch, or in phases."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from twinbench.config.fields import NonNegative, Number, Strict


class Linear(Strict):
    """A weight that goes from ``start``, in the first epoch, towards ``end``, which an epoch after the last would have.

    A plain number stands for a weight that stays.
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
    """Weights of the losses: cross-entropy of the target head, and of both digit heads added up."""

    target: Weight = Linear(start=0, end=0)
    digits: Weight = Linear(start=0, end=0)

    @property
    def heads(self) -> list[str]:
        """The heads that are trained."""
        return [head for head in ("target", "digits") if getattr(self, head)]


class Phase(Weights):
    """One part of a training: its share of the epochs, its weights, and which parts of the model it trains."""

    share: Annotated[Number, Field(gt=0, lt=1)]
    train: Annotated[list[str], Field(min_length=1)] | None = None  # None: all; what is frozen is in evaluation mode


class Objective(Weights):
    """What a model is trained for: weights for the whole training, or phases that follow each other."""

    phases: Annotated[list[Phase], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _trains(self) -> "Objective":
        if self.phases and (self.target or self.digits):
            raise ValueError("phases: each phase has its own weights; target and digits are allowed without phases")
        if self.phases and abs(sum(phase.share for phase in self.phases) - 1) > 1e-9:
            raise ValueError("phases: the shares must add up to 1")
        for number, weights in enumerate(self.phases or [self]):
            if not weights.heads:
                key = f"phases.{number}: " if self.phases else ""
                raise ValueError(f"{key}no head is trained; allowed: target, digits or both above 0")
        return self

    @property
    def varies(self) -> bool:
        """Whether the weights change from epoch to epoch."""
        return bool(self.phases) or any(weight.start != weight.end for weight in (self.target, self.digits))

    @property
    def trained(self) -> list[str]:
        """The heads that any part of the training trains."""
        found = {head for weights in self.phases or [self] for head in weights.heads}
        return [head for head in ("target", "digits") if head in found]

"""What all configuration models are made of: their base, and the kinds of values that keys may have."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RATES = ("accuracy", "error", "digit_error")  # metrics that are shares of pairs, or of digits


class Strict(BaseModel):
    """Base of all models: no unknown keys, no silent conversions, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# YAML reads 1e-3 as text, so numbers that may be written like that are converted.
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Scale = Literal["smoke", "quick", "paper"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
# What a published value or a sweep may be of.
Metric = Literal["accuracy", "error", "digit_error", "loss", "target_loss"]

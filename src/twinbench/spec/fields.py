"""Parts of the typed values: their base, kinds of fields, and models with every key optional."""

from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model

CONSTANT = "constant"  # the baseline that every study has; it is not trained, so it has no cells


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
Task = Literal["pairs", "disc"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


@cache
def partial(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model with the same keys and checks, but all keys optional, also in sections. An unset key is None."""
    fields = {}
    for name, info in model.model_fields.items():
        fields[name] = (Annotated[_partial_type(info.annotation), Field(), *info.metadata], None)
    return create_model(f"Partial{model.__name__}", __base__=model, __doc__=model.__doc__, **fields)


def _partial_type(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return partial(annotation)
    if type(None) in get_args(annotation):  # a section or value that may be null
        return reduce(or_, map(_partial_type, get_args(annotation)))
    return annotation

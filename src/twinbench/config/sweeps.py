"""The ``sweeps`` of a study file as typed models: a base model, one or two axes with values, and what is measured."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from twinbench.config.fields import Metric, Strict

# What the parts of a model that an axis may vary begin with.
ROOTS = ("training", "options", "objective")
TRAIN_PAIRS = "protocol.pairs.train"  # the one option of the protocol that may vary: what else would be measured?
LABELS = {
    "training.optimizer.lr": "learning rate",
    "training.optimizer.decay": "decay factor per epoch",
    "training.batch_size": "batch size in pairs",
    TRAIN_PAIRS: "training pairs",
}


def _plain(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{value!r} is no value of an axis; a number, a text, true or false is allowed")
    return value


Value = bool | int | float | str  # of an axis, once it is checked against the option that it is for
RawValue = Annotated[Any, AfterValidator(_plain), WithJsonSchema({"type": ["number", "string", "boolean"]})]


class Conclusion(Strict):
    """What the report concludes: in words, and which value of one or both axes it found best, or kept."""

    conclusion: str
    best: Annotated[dict[str, RawValue], Field(min_length=1)]


class Sweep(Strict):
    """One sweep: ``base`` names a model of the study, the keys after it say what is different in all points.

    The keys of ``axes`` are dotted paths into the model: ``training.optimizer.lr``, ``options.width``.
    """

    title: str
    base: str
    objective: dict[str, Any] | None = None
    decision: Literal["target", "digits"] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    protocol: dict[str, Any] = Field(default_factory=dict)
    axes: Annotated[dict[str, Annotated[list[RawValue], Field(min_length=1)]], Field(min_length=1, max_length=2)]
    metric: Metric
    split: Literal["train", "validation", "test"] = (
        "validation"  # what is shown; the best is chosen on validation pairs
    )
    published: Conclusion | None = None


class SweepChanges(Strict):
    """What a scale changes in every sweep of a study."""

    protocol: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    values: Annotated[int, Field(ge=1)] | None = None  # of each axis at most so many, spread over its list


def axis_label(path: str) -> str:
    """Return an axis in words: ``options.dense_width`` → ``dense width``."""
    return LABELS.get(path, path.rpartition(".")[2].replace("_", " "))

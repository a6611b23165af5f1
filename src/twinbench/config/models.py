"""The configuration as typed models: what config.yaml and the study files may say."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from twinbench.architectures.catalog import architectures

MNIST_TRAIN, MNIST_TEST = 60_000, 10_000
RATES = ("accuracy", "error", "digit_error")  # published metrics that are shares of pairs, or of digits


class Strict(BaseModel):
    """Base of all models: no unknown keys, no silent conversions, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# YAML reads 1e-3 as text, so numbers that may be written like that are converted.
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Data(Strict):
    """Where the MNIST files come from: ``shipped``, ``download`` or a folder."""

    source: str = "shipped"


class Pretrained(Strict):
    """Where models that can start from pre-trained weights do start: ``random``, ``download`` or a file of weights."""

    resnet18: str = "random"


class Config(Strict):
    """config/config.yaml: what to run."""

    scale: Literal["smoke", "quick", "paper"]
    studies: Annotated[list[Name], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    rounds_per_job: Count
    data: Data = Data()
    pretrained: Pretrained = Pretrained()
    partial: Annotated[bool, Field(strict=False)] = False  # a command line gives it as text
    scratch: Annotated[bool, Field(strict=False)] = False


class Pairs(Strict):
    """Pairs in each split."""

    train: Count
    validation: Annotated[int, Field(ge=0)] = 0
    test: Count


class Protocol(Strict):
    """What is repeated on which data."""

    pairs: Pairs
    rounds: Count
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    fixed_data: bool = False  # rounds share pairs, order of batches and dropout; only the initial weights differ

    @model_validator(mode="after")
    def _fits(self) -> "Protocol":
        drawn = self.pairs.train + self.pairs.validation
        if 2 * drawn > MNIST_TRAIN:
            raise ValueError(f"pairs.train + pairs.validation: {drawn} pairs need {2 * drawn} distinct digits, "
                             f"MNIST has {MNIST_TRAIN}; at most {MNIST_TRAIN // 2} pairs are allowed")  # fmt: skip
        if 2 * self.pairs.test > MNIST_TEST:
            raise ValueError(f"pairs.test: {self.pairs.test} pairs need {2 * self.pairs.test} distinct digits, "
                             f"MNIST's test part has {MNIST_TEST}; at most {MNIST_TEST // 2} are allowed")  # fmt: skip
        if self.folds and self.pairs.train % self.folds:
            raise ValueError(f"folds: {self.folds} folds do not divide the {self.pairs.train} training pairs; "
                             "a divisor of pairs.train is allowed")  # fmt: skip
        if self.folds and self.pairs.validation:
            raise ValueError("folds: cross-validation makes its own validation pairs; "
                             "pairs.validation must be 0 with folds")  # fmt: skip
        return self


class Optimizer(Strict):
    """Optimiser and its settings."""

    name: Literal["adam", "sgd"]
    lr: Positive
    momentum: Fraction = 0.0
    decay: Annotated[Number, Field(gt=0, le=1)] = 1.0  # the learning rate is multiplied by it after every epoch

    @model_validator(mode="after")
    def _momentum_is_sgds(self) -> "Optimizer":
        if self.momentum and self.name != "sgd":
            raise ValueError(f"momentum: {self.name} has none; allowed with sgd")
        return self


class EarlyStopping(Strict):
    """Stop when the validation loss has not fallen for ``patience`` epochs; the best epoch's weights are kept."""

    patience: Count


class Training(Strict):
    """How one replica is trained."""

    epochs: Count
    batch_size: Count
    optimizer: Optimizer
    early_stopping: EarlyStopping | None = None


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


class PublishedValue(Strict):
    """One published figure, the mean of ``n`` rounds; accuracies and errors as fractions of 1.

    ``loss`` is that of the whole objective, ``target_loss`` that of the target head. ``evidence`` says what was seen to
    explain a difference, where there is one.
    """

    metric: Literal["accuracy", "error", "digit_error", "loss", "target_loss", "seconds"]
    split: Literal["train", "validation", "test"] = "test"
    value: Number
    std: Positive | None = None
    n: Count = 1
    evidence: str | None = None

    @model_validator(mode="after")
    def _is_a_rate(self) -> "PublishedValue":
        if self.metric in RATES and not 0 <= self.value <= 1:
            raise ValueError(f"value: {self.value} is no {self.metric.replace('_', ' ')}; a fraction of 1 is allowed")
        return self


class Published(Strict):
    """What the report says of a model."""

    parameters: Count | None = None
    note: str | None = None
    values: list[PublishedValue] = []


class Model(Strict):
    """A named entry of a study: an architecture with options, what it is trained for, and what was published."""

    label: str
    architecture: str
    options: dict[str, Any] = {}
    objective: Objective
    decision: Literal["target", "digits"]
    accelerator: Literal["cpu", "gpu"] = "cpu"
    rounds: Count | None = None  # at most so many of the study's rounds
    training: dict[str, Any] = {}
    published: Published = Published()

    @model_validator(mode="after")
    def _known(self) -> "Model":
        known = architectures()
        if self.architecture not in known:
            raise ValueError(f"architecture: unknown {self.architecture!r}; allowed: {', '.join(sorted(known))}")
        heads, parts = known[self.architecture].heads, known[self.architecture].parts
        needed = {"decision": self.decision} | {f"objective.{head}": head for head in self.objective.trained}
        for key, head in needed.items():
            if head not in heads:
                raise ValueError(f"{key}: {self.architecture} has no {head} head; allowed: {', '.join(heads)}")
        if self.decision not in self.objective.trained:
            trained = ", ".join(self.objective.trained)
            raise ValueError(f"decision: the {self.decision} head is not trained; allowed: {trained}")
        for number, phase in enumerate(self.objective.phases or []):
            for part in phase.train or []:
                if part not in parts:
                    raise ValueError(f"objective.phases.{number}.train: {self.architecture} has no part {part!r}; "
                                     f"allowed: {', '.join(parts)}")  # fmt: skip
        return self


class Source(Strict):
    """The published report."""

    report: Count
    authors: str
    title: str
    date: str | None = None
    table: str


class Changes(Strict):
    """What a scale changes: of the study, and of single models' training."""

    protocol: dict[str, Any] = {}
    training: dict[str, Any] = {}
    models: dict[Name, dict[Literal["training"], dict[str, Any]]] = {}


class StudyFile(Strict):
    """config/studies/<study>.yaml; ``scales`` holds what differs from the published protocol."""

    title: str
    source: Source
    protocol: dict[str, Any]
    training: dict[str, Any]
    scales: dict[Literal["smoke", "quick", "paper"], Changes] = {}
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    rounds_per_job: Count | None = None
    parameter_budget: Count | None = None  # a model with more parameters is refused
    figures: list[str]
    choices: list[str] = []

    @model_validator(mode="after")
    def _fits_together(self) -> "StudyFile":
        if "constant" in self.models:
            raise ValueError("models.constant: every study has this baseline already; any other name is allowed")
        for scale, changes in self.scales.items():
            if unknown := changes.models.keys() - self.models.keys():
                raise ValueError(f"scales.{scale}.models: no model {min(unknown)!r} in this study; "
                                 f"allowed: {', '.join(sorted(self.models))}")  # fmt: skip
        for name, model in self.models.items():
            count, budget = model.published.parameters, self.parameter_budget
            if count and budget and count > budget:
                raise ValueError(f"models.{name}.published.parameters: {count} is over the budget; at most {budget} "
                                 "(parameter_budget) are allowed")  # fmt: skip
        return self


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each kind of configuration file, for editors."""
    from twinbench.config.scratch import ScratchFile  # which imports this module

    files = {"config": Config, "study": StudyFile, "scratch": ScratchFile}
    return {kind: model.model_json_schema() for kind, model in files.items()}


if __name__ == "__main__":  # make schemas
    for kind, schema in schemas().items():
        Path(sys.argv[1], f"{kind}.schema.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")

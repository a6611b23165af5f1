"""The configuration as typed models: what config.yaml and the study files may say."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twinbench.architectures.catalog import architectures
from twinbench.config.fields import RATES, Count, Fraction, Metric, Name, Number, Positive, Scale, Strict
from twinbench.config.objectives import Objective
from twinbench.config.sweeps import Sweep, SweepChanges

MNIST_TRAIN, MNIST_TEST = 60_000, 10_000


class Data(Strict):
    """Where the MNIST files come from: ``shipped``, ``download`` or a folder."""

    source: str = "shipped"


class Pretrained(Strict):
    """Where models that can start from pre-trained weights do start: ``random``, ``download`` or a file of weights."""

    resnet18: str = "random"


class Config(Strict):
    """config/config.yaml: what to run."""

    scale: Scale
    studies: Annotated[list[Name], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    rounds_per_job: Count
    data: Data = Data()
    pretrained: Pretrained = Pretrained()
    partial: Annotated[bool, Field(strict=False)] = False  # a command line gives it as text
    scratch: Annotated[bool, Field(strict=False)] = False
    sweeps: Annotated[bool, Field(strict=False)] = False


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


class PublishedValue(Strict):
    """One published figure, the mean of ``n`` rounds; accuracies and errors as fractions of 1.

    ``loss`` is that of the whole objective, ``target_loss`` that of the target head. ``evidence`` says what was seen to
    explain a difference, where there is one.
    """

    metric: Literal[Metric, "seconds"]
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
    values: list[PublishedValue] = Field(default_factory=list)


class Model(Strict):
    """A named entry of a study: an architecture with options, what it is trained for, and what was published."""

    label: str
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict)
    objective: Objective
    decision: Literal["target", "digits"]
    accelerator: Literal["cpu", "gpu"] = "cpu"
    rounds: Count | None = None  # at most so many of the study's rounds
    training: dict[str, Any] = Field(default_factory=dict)
    scales: dict[Scale, dict[Literal["training"], dict[str, Any]]] = Field(default_factory=dict)
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


class ScaleChanges(Strict):
    """What a scale changes."""

    protocol: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    sweeps: SweepChanges = SweepChanges()


class StudyFile(Strict):
    """config/studies/<study>.yaml; ``scales`` holds what differs from the published protocol."""

    title: str
    source: Source
    protocol: dict[str, Any]
    training: dict[str, Any]
    scales: dict[Scale, ScaleChanges] = Field(default_factory=dict)
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    rounds_per_job: Count | None = None
    parameter_budget: Count | None = None  # a model with more parameters is refused
    figures: list[str]
    sweeps: dict[Name, Sweep] = Field(default_factory=dict)
    choices: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_together(self) -> "StudyFile":
        if "constant" in self.models:
            raise ValueError("models.constant: every study has this baseline already; any other name is allowed")
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

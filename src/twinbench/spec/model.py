"""A model, its published values, and the protocol of a study, as typed values."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from twinbench.architectures.catalog import architectures
from twinbench.metric import METRICS
from twinbench.spec.fields import Count, Number, Positive, Strict
from twinbench.spec.objectives import Objective
from twinbench.spec.training import Training


class Pairs(Strict):
    """Pairs in each split; of the task ``disc``, points."""

    train: Count
    validation: Annotated[int, Field(ge=0)] = 0
    test: Count


class Protocol(Strict):
    """Rounds, folds and pairs of a study; the context of its validation is the `Dataset` to draw from, if any."""

    pairs: Pairs
    rounds: Count
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    fixed_data: bool = False  # rounds share pairs, order of batches and dropout; only the initial weights differ

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> "Protocol":
        if not self.pairs:  # a part of a protocol may lack them
            return self
        pairs, dataset = self.pairs, info.context
        if dataset and 2 * (drawn := pairs.train + pairs.validation) > dataset.train:
            raise ValueError(f"pairs.train + pairs.validation: {drawn} pairs need {2 * drawn} distinct digits, "
                             f"{dataset.title} has {dataset.train}; at most {dataset.train // 2} pairs "
                             "are allowed")  # fmt: skip
        if dataset and 2 * pairs.test > dataset.test:
            raise ValueError(f"pairs.test: {pairs.test} pairs need {2 * pairs.test} distinct digits, {dataset.title}'s "
                             f"test part has {dataset.test}; at most {dataset.test // 2} are allowed")  # fmt: skip
        if self.folds and pairs.train and pairs.train % self.folds:
            raise ValueError(f"folds: {self.folds} folds do not divide the {pairs.train} training pairs; "
                             "a divisor of pairs.train is allowed")  # fmt: skip
        if self.folds and pairs.validation:
            raise ValueError("folds: cross-validation makes its own validation pairs; "
                             "pairs.validation must be 0 with folds")  # fmt: skip
        return self


class PublishedValue(Strict):
    """One published number, the mean of ``n`` rounds; accuracies and errors as fractions of 1.

    ``loss`` is that of the whole objective, ``target_loss`` that of the target head. ``evidence``, if any, says
    what was seen to explain a difference.
    """

    metric: Literal[tuple(METRICS)]
    split: Literal["train", "validation", "test"] = "test"
    value: Number
    std: Positive | None = None
    n: Count = 1
    evidence: str | None = None

    @model_validator(mode="after")
    def _is_a_share(self) -> "PublishedValue":
        metric = METRICS[self.metric]
        if metric.share and not 0 <= self.value <= 1:
            raise ValueError(f"value: {self.value} is no {metric.words}; a fraction of 1 is allowed")
        return self

    @property
    def is_main(self) -> bool:
        """Whether this is an accuracy or error on the test pairs."""
        return self.split == "test" and METRICS[self.metric].share


class Published(Strict):
    """The published values of a model."""

    parameters: Count | None = None
    note: str | None = None
    values: list[PublishedValue] = Field(default_factory=list)


class Model(Strict):
    """A named entry of a study: an architecture with options, its objective, and its published values."""

    label: str
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict)
    objective: Objective
    decision: Literal["target", "digits"]
    accelerator: Literal["cpu", "gpu"] = "cpu"
    rounds: Count | None = None  # at most so many of the study's rounds
    training: Training
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
        for number, phase in enumerate(self.objective.in_turn):
            for part in phase.train or []:
                if part not in parts:
                    raise ValueError(f"objective.phases.{number}.train: {self.architecture} has no part {part!r}; "
                                     f"allowed: {', '.join(parts)}")  # fmt: skip
        return self

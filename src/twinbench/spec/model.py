"""A model, its published values, and the protocol of a study, as typed values."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from twinbench.architectures.catalog import architectures
from twinbench.data.dataset import Dataset
from twinbench.metric import METRICS
from twinbench.spec.fields import Count, Number, Positive, Strict
from twinbench.spec.objectives import Objective
from twinbench.spec.training import Curves, Training


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
    validation_from: Literal["train", "test"] = "train"  # the data set's part that validation pairs are drawn from
    curves: Curves = Curves()

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> "Protocol":
        if not self.pairs:  # a part of a protocol may lack them
            return self
        pairs, dataset = self.pairs, info.context
        if dataset:
            self._check_parts(dataset)
        if self.validation_from == "test" and not pairs.validation:
            raise ValueError("validation_from: there are no validation pairs; test is allowed with pairs.validation")
        if self.curves and "validation" in (self.curves.splits or []) and not (pairs.validation or self.folds):
            raise ValueError("curves.splits: there are no validation pairs; allowed with folds or pairs.validation")
        if self.folds and pairs.train and pairs.train % self.folds:
            raise ValueError(f"folds: {self.folds} folds do not divide the {pairs.train} training pairs; "
                             "a divisor of pairs.train is allowed")  # fmt: skip
        if self.folds and pairs.validation:
            raise ValueError("folds: cross-validation makes its own validation pairs; "
                             "pairs.validation must be 0 with folds")  # fmt: skip
        return self

    def _check_parts(self, dataset: Dataset) -> None:
        """Check that each part of the data set has enough images."""
        drawn = {"train": ["train"], "test": ["test"]}
        drawn[self.validation_from].append("validation")
        for part, splits in drawn.items():
            count, images = sum(getattr(self.pairs, split) for split in splits), getattr(dataset, part)
            if 2 * count > images:
                key = " + ".join(f"pairs.{split}" for split in splits)
                raise ValueError(f"{key}: {count} pairs need {2 * count} distinct digits, {dataset.title}'s {part} "
                                 f"part has {images}; at most {images // 2} pairs are allowed")  # fmt: skip


MetricName = Literal[tuple(METRICS)]


class PublishedValue(Strict):
    """One published number, the mean of ``n`` rounds; accuracies and errors as fractions of 1.

    ``loss`` is that of the whole objective, ``target_loss`` that of the target head. ``std`` is the spread as printed;
    ``spread`` says what it is: the sample standard deviation, its square, the standard deviation of a whole population
    (divided by n, not by n − 1), or not known.
    """

    metric: MetricName
    split: Literal["train", "validation", "test"] = "test"
    value: Number
    std: Positive | None = None
    spread: Literal["std", "variance", "population", "unknown"] = "std"
    n: Count = 1
    by_eye: bool = False  # read from a figure

    @model_validator(mode="after")
    def _fits(self) -> "PublishedValue":
        metric = METRICS[self.metric]
        if metric.share and not 0 <= self.value <= 1:
            raise ValueError(f"value: {self.value} is no {metric.words}; a fraction of 1 is allowed")
        if self.spread != "std" and self.std is None:
            raise ValueError("spread: there is no std that it could describe; allowed with std")
        if self.spread == "population" and self.n < 2:
            raise ValueError("spread: one round has no population; population is allowed with n of at least 2")
        return self

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation over the rounds; None if it was not published or its kind is not known."""
        if self.std is None or self.spread == "unknown":
            return None
        if self.spread == "variance":
            return math.sqrt(self.std)
        return self.std * math.sqrt(self.n / (self.n - 1)) if self.spread == "population" else self.std

    @property
    def is_main(self) -> bool:
        """Whether this is an accuracy or an error on the test pairs: a published test result."""
        return self.split == "test" and METRICS[self.metric].share


class Published(Strict):
    """The published values of a model."""

    parameters: Count | None = None
    note: str | None = None
    values: list[PublishedValue] = Field(default_factory=list)


class Entry(Strict):
    """The keys of a model in a study file: an architecture with options, its objective, and its published values."""

    label: str
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict)
    objective: Objective
    decision: Literal["target", "digits"]
    accelerator: Literal["cpu", "gpu"] = "cpu"
    rounds: Count | None = None  # at most so many of the study's rounds
    whole_rounds: Count | None = None  # rounds that train all folds; the others train the last fold alone
    rounds_per_job: Count | None = None  # of this model; None for the study's
    reported_fold: Literal["best", "last"] = "best"  # by the validation accuracy, or the last one
    training: Training
    published: Published = Published()
    tries: str | None = None  # a model whose published values this one tries to explain; it is shown, but never counts
    metrics: dict[MetricName, MetricName] = Field(default_factory=dict)  # published metric → what the code called so

    @model_validator(mode="after")
    def _known(self) -> "Entry":
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
            if phase.digit_images != "both" and not phase.digits:
                key = f"objective.phases.{number}" if self.objective.phases else "objective"
                raise ValueError(f"{key}.digit_images: the digit head is not trained; allowed with digits above 0")
            for part in phase.train or []:
                if part not in parts:
                    raise ValueError(f"objective.phases.{number}.train: {self.architecture} has no part {part!r}; "
                                     f"allowed: {', '.join(parts)}")  # fmt: skip
        return self


class Model(Entry):
    """A model of a study; with ``as_run_of``, what the authors' code ran, beside what the report describes."""

    as_run_of: str | None = None  # the model as described, whose published values judge this one too
    differs: list[str] = Field(default_factory=list)  # from it: a sentence for each difference

    @property
    def sees_test(self) -> bool:
        """Whether test pairs pass through it in training, so that it cannot be compared with models that see none."""
        return "test" in self.training.passes

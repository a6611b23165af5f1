"""A study at one scale: its protocol, the whole training of every model, and the slice that each job gets.

A sweep is a study as well, with a parent: its models are the settings, which share pairs and seeds.
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from twinbench.architectures.catalog import Architecture, architectures
from twinbench.metric import METRICS
from twinbench.spec.fields import CONSTANT, Count, Strict, Task
from twinbench.spec.model import Model, Protocol
from twinbench.spec.rounds import folds_of
from twinbench.spec.training import Cell, Inputs, Tested

TRAIN_PAIRS = "protocol.pairs.train"  # the one option of the protocol that a sweep may vary
Value = bool | int | float | str  # of an axis, after a check against its option


class Source(Strict):
    """The published report."""

    report: Count
    authors: str
    title: str
    date: str | None = None
    table: str
    code: str | None = None  # the authors' own, and which files of it were read


class Described(Strict):
    """The keys of a study that are the same at every scale."""

    title: str
    about: str | None = None  # a paragraph of the report: what the study is about
    source: Source
    task: Task = "pairs"
    parameter_budget: Count | None = None  # a model with more parameters is refused
    figures: list[str]
    choices: list[str] = Field(default_factory=list)  # where the source is silent, and what is done here


class Axis(Strict):
    """One axis of a sweep: a dotted path into the model, its name in words, its values, and the values as text."""

    path: str
    label: str
    values: list[Value]
    texts: list[str]


class Swept(Strict):
    """The part of a study that makes it a sweep."""

    parent: str
    name: str  # among the parent's sweeps
    base: str  # the parent's model that all settings start from
    metric: str
    split: str  # whose values are shown
    claimed: list[str]  # the settings that the report found best, or kept
    axes: list[Axis]
    settings: dict[str, list[Value]]  # of each setting, its value on each axis
    # Not for figures: the scale's changes in all sweeps of the study, and the report's conclusion in words.
    reduced: dict[str, Any] = Field(default_factory=dict)
    conclusion: str | None = None


class Study(Described):
    """A study at one scale; a sweep has ``swept``."""

    name: str  # goes into paths and seeds; that of a sweep is <study>.<sweep>
    file: str = Field(default="", exclude=True)  # where it is written, for messages
    protocol: Protocol
    models: dict[str, Model]
    seed: int
    rounds_per_job: int
    reduced: dict[str, Any]  # what the scale changes
    swept: Swept | None = None
    missing: list[dict[str, str]] = Field(default_factory=list)  # cells that a partial report lacks

    @property
    def folds(self) -> list[str]:
        """Names of the folds: ``0`` … or, without cross-validation, the one fold ``all``."""
        return [str(fold) for fold in range(self.protocol.folds)] if self.protocol.folds else ["all"]

    def blocks(self, model: str | None = None) -> list[str]:
        """Return the blocks of rounds of the study's examples, or of a model's training jobs: ``["0-7", "8-15"]``.

        If all blocks are full, more rounds only add blocks.
        """
        rounds, size = self.protocol.rounds, self.rounds_per_job
        if model:
            entry = self.models[model]
            rounds, size = min(rounds, entry.rounds or rounds), entry.rounds_per_job or size
        return [f"{first}-{min(first + size, rounds) - 1}" for first in range(0, rounds, size)]

    def cells(self, model: str | None = None) -> list[dict[str, str]]:
        """Return study, model and rounds of every training job of the study, or of one of its models."""
        names = [model] if model else self.models
        blocks = [(name, rounds) for name in names for rounds in self.blocks(name)]
        cells = [{"study": self.name, "model": name, "rounds": rounds} for name, rounds in blocks]
        return [cell for cell in cells if cell not in self.missing]

    def trainings(self, model: str, rounds: range) -> int:
        """Return how many trainings a model has in some rounds: one per fold that it trains."""
        whole = self.models[model].whole_rounds
        return sum(len(folds_of(self.folds, whole, round_)) for round_ in rounds)

    def without_missing(self, folder: str, predictions: str) -> "Study":
        """Return the study without cells whose files are missing, and without models that then have no cell.

        Args:
            folder: path pattern of a cell, which needs a record, a history and weights.
            predictions: path pattern of the study's predictions. Where they are whole, cells need no weights.
        """

        def lacking(*files: str) -> list[dict[str, str]]:
            return [c for c in self.cells() if not all(Path(folder.format(**c), file).exists() for file in files)]

        missing = lacking("record.json", "history.parquet")
        if missing or not Path(predictions.format(study=self.name)).exists():
            missing = lacking("record.json", "history.parquet", "weights.safetensors")
        left = self.model_copy(update={"missing": missing})
        return left.model_copy(update={"models": {name: m for name, m in self.models.items() if left.cells(name)}})

    def architecture(self, model: str) -> Architecture:
        """Return what the model's architecture declares."""
        return architectures()[self.models[model].architecture]

    def parameters(self, model: str) -> int:
        """Return about how many parameters a model has: more than declared where its options are larger."""
        entry, declared = self.models[model], self.architecture(model)
        count = declared.parameters
        for name, value in entry.options.items():
            default = declared.options[name][1]
            if isinstance(value, bool):
                count *= 1 + (value != default)  # of true and false, the other one may mean two branches, not one
            elif isinstance(value, int) and default:
                count *= max(1, value / default)
        return entry.published.parameters or round(count)

    def modules(self, model: str | None = None) -> list[str]:
        """Return the package modules that define the architectures of the study's models, or of one of them."""
        names = [model] if model else self.models
        return sorted({module for name in names for module in self.architecture(name).modules})

    def draw(self, train: int) -> dict[str, Any]:
        """Return the slice that the drawn pairs depend on.

        Args:
            train: the most pairs that the data set's training part can give. All are drawn if settings take different
                numbers of pairs: a new value then redraws nothing, and a larger one has a smaller one's pairs too.
        """
        counts = self.protocol.pairs.model_dump()
        # Every setting counts, even one that a partial report lacks, so that the draw stays the same.
        settings = self.swept.settings if self.swept else []
        if taken := [pairs for setting in settings if (pairs := self.train_pairs(setting))]:
            counts["train"] = train - counts["validation"] if self.task == "pairs" else max(taken)
        names = {"task": self.task, "study": self.name, "seed": self.seed, "counts": counts}
        return names | self.protocol.model_dump(include={"folds", "fixed_data", "validation_from"})

    def cell(self, model: str) -> dict[str, Any]:
        """Return the slice that training a model depends on; `spec.training.Cell` reads it."""
        entry = self.models[model]
        names = {"study": self.name, "model": model, "seed": self.seed, "folds": self.folds}
        shared = {key: getattr(self.protocol, key) for key in ("fixed_data", "curves")}
        shared |= {"parameter_budget": self.parameter_budget, "inputs": self.inputs(model)}
        own = {key: getattr(entry, key) for key in Cell.model_fields if key in Model.model_fields}
        return Cell(**names, **shared, **own).model_dump()

    def predicted(self) -> dict[str, dict[str, Any]]:
        """Return the slice that predictions depend on: inputs, architecture, options and test mode of every model."""
        return {
            name: Tested(
                study=self.name, seed=self.seed, inputs=self.inputs(name), architecture=model.architecture,
                options=model.options,
                **model.training.model_dump(include={"branch", "tested_in_training_mode"}),
            ).model_dump()
            for name, model in self.models.items()
        }  # fmt: skip

    def inputs(self, model: str) -> Inputs:
        """Return the inputs that a model gets."""
        scaling = self.models[model].training.scaling
        return Inputs(task=self.task, scaling=scaling, train_pairs=self.train_pairs(model))

    def train_pairs(self, model: str) -> int | None:
        """Return how many training pairs a setting of a sweep takes of those drawn; None if it takes all."""
        paths = [axis.path for axis in self.swept.axes] if self.swept else []
        return self.swept.settings[model][paths.index(TRAIN_PAIRS)] if TRAIN_PAIRS in paths else None

    def scoring(self) -> dict[str, dict[str, Any]]:
        """Return, for every model and the baseline, the decision and the fold that count, and what makes its loss.

        Where the weights of the losses change, those of the last epoch count.
        """
        constant = {"decision": "target", "weights": {"target": 1.0}, "loss": "cross-entropy", "reported_fold": "best"}
        scoring = {}
        for name, model in self.models.items():
            last = model.objective.stage(model.training.epochs, model.training.epochs)
            fold = self.folds[-1] if model.reported_fold == "last" else "best"
            own = {"decision": model.decision, "reported_fold": fold}
            scoring[name] = own | {"weights": last.weights, "loss": self.architecture(name).loss}
        return scoring | {CONSTANT: constant}

    def answering(self) -> dict[str, dict[str, Any]]:
        """Return, for every model, the decision that counts and the heads that are trained."""
        models = self.models.items()
        return {name: {"decision": model.decision, "trained": model.objective.trained} for name, model in models}

    def shown(self) -> dict[str, Any]:
        """Return the slice that the figures depend on: labels, published values, models as run and a sweep's axes."""
        published = {
            name: metric.of(value.value)
            for name, model in self.models.items()
            for value in model.published.values
            if value.is_main and (metric := METRICS[value.metric]).column == "accuracy"
        }
        swept = self.swept and self.swept.model_dump(exclude={"conclusion", "reduced"})  # which the report shows
        return {"labels": self.labels, "published": published, "as_run": self.as_run, "swept": swept}

    @property
    def as_run(self) -> dict[str, str]:
        """The models as run, and for each the model as described."""
        return {name: model.as_run_of for name, model in self.models.items() if model.as_run_of}

    @property
    def labels(self) -> dict[str, str]:
        """The label of every model, the constant baseline's last."""
        return {name: model.label for name, model in self.models.items()} | {CONSTANT: "majority class"}

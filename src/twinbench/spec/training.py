"""How a model is trained, as typed models."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twinbench.spec.fields import Count, Fraction, Number, Positive, Strict, Task
from twinbench.spec.objectives import Objective
from twinbench.spec.rounds import folds_of

Split = Literal["train", "validation", "test"]


class Optimizer(Strict):
    """Optimiser and its settings."""

    name: Literal["adam", "sgd"]
    lr: Positive
    momentum: Fraction = 0.0
    decay: Annotated[Number, Field(gt=0, le=1)] = 1.0  # the learning rate is multiplied by it after every epoch

    @model_validator(mode="after")
    def _momentum_is_sgds(self) -> "Optimizer":
        if self.momentum and self.name == "adam":
            raise ValueError("momentum: adam has none; allowed with sgd")
        return self


class EarlyStopping(Strict):
    """Stop when the validation loss has not fallen for ``patience`` epochs.

    The weights of the epoch with the lowest loss are kept; with ``restore: stopped``, only if the patience ran out.
    """

    patience: Count
    restore: Literal["always", "stopped"] = "always"


class Chain(Strict):
    """Folds that follow each other with the same model and optimiser. ``reset`` is made anew before each next fold."""

    reset: list[Literal["Linear", "Conv2d", "ConvTranspose2d", "BatchNorm1d", "BatchNorm2d", "optimizer"]]


class Training(Strict):
    """How one model is trained on one fold of one round. The defaults are what a textbook does."""

    epochs: Count
    batch_size: Count
    optimizer: Optimizer
    early_stopping: EarlyStopping | None = None
    # Inputs are scaled by mean and deviation of the training pairs, by those of their own split, or not at all.
    scaling: Literal["training", "split", "raw"] = "training"
    shuffle: bool = True  # a new order of the training pairs in every epoch
    # A shared branch sees both images of a pair as one batch, or is called once per image; batch norm tells them apart.
    branch: Literal["pair", "image"] = "pair"
    # The epoch from which the model trains in evaluation mode: without dropout, with batch norm's running statistics.
    evaluation_mode_from: Annotated[int, Field(ge=2)] | None = None
    # Splits whose every evaluation leaves the model in training mode: with dropout, and the batch's own statistics.
    tested_in_training_mode: list[Split] = Field(default_factory=list)
    # Splits that pass through the model in training mode after each epoch, each as one batch, in this order: batch norm
    # takes them into its running statistics. Early stopping sees the loss of this pass.
    passes: list[Literal["validation", "test"]] = Field(default_factory=list)
    chain: Chain | None = None  # None: each fold has a model and an optimiser of its own


class Curves(Strict):
    """The splits that are evaluated after every epoch for the figures, in one fold of each round or in all."""

    splits: list[Split] = Field(default_factory=list)
    folds: Literal["one", "all"] = "one"


class Inputs(Strict):
    """The inputs that a model gets of the pairs that a study drew."""

    task: Task
    scaling: Literal["training", "split", "raw"]
    train_pairs: Count | None = None  # at most so many of the training pairs; None for all


class Tested(Strict):
    """The slice of the configuration that a model's predictions depend on."""

    study: str
    seed: int
    inputs: Inputs
    architecture: str
    options: dict[str, Any]
    branch: Literal["pair", "image"]
    tested_in_training_mode: list[Split]


class Cell(Strict):
    """The slice of the configuration that the training jobs of a model get, and depend on."""

    study: str
    model: str
    seed: int
    fixed_data: bool
    folds: list[str]
    whole_rounds: Count | None
    curves: Curves
    parameter_budget: Count | None
    inputs: Inputs
    architecture: str
    options: dict[str, Any]
    objective: Objective
    decision: Literal["target", "digits"]
    training: Training

    def trainings(self, rounds: Iterable[int]) -> list[tuple[int, str]]:
        """Return round and fold of every training of these rounds."""
        return [(round_, fold) for round_ in rounds for fold in folds_of(self.folds, self.whole_rounds, round_)]

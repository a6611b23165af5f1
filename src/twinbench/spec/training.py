"""How a model is trained, as typed models."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twinbench.spec.fields import Count, Fraction, Number, Positive, Strict, Task
from twinbench.spec.objectives import Objective


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
    """Stop when the validation loss has not fallen for ``patience`` epochs; the best epoch's weights are kept."""

    patience: Count


class Training(Strict):
    """How one replica is trained."""

    epochs: Count
    batch_size: Count
    optimizer: Optimizer
    early_stopping: EarlyStopping | None = None
    # Inputs are scaled by mean and standard deviation of the round's training pairs, or not at all.
    scaling: Literal["training", "raw"] = "training"


class Inputs(Strict):
    """The inputs that a model gets of the pairs that a study drew."""

    task: Task
    scaling: Literal["training", "raw"]
    train_pairs: Count | None = None  # at most so many of the training pairs; None for all


class Cell(Strict):
    """The slice of the configuration that the training jobs of a model get, and depend on."""

    study: str
    model: str
    seed: int
    fixed_data: bool
    parameter_budget: Count | None
    inputs: Inputs
    architecture: str
    options: dict[str, Any]
    objective: Objective
    decision: Literal["target", "digits"]
    training: Training

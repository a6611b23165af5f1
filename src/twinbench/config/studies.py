"""A study file at one scale: the protocol that applies, the whole training of every model, and the sweeps."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from twinbench.architectures.catalog import architectures
from twinbench.config.fields import Count, Strict
from twinbench.config.models import Model, Protocol, StudyFile, Training
from twinbench.config.reading import ConfigError, merge, overridden, validate
from twinbench.config.sweeps import Sweep, Value
from twinbench.training.schedule import phase_epochs


@dataclass(frozen=True)
class Study:
    """A study at one scale: its file, the protocol that applies, and the whole training of every model."""

    name: str
    file: StudyFile
    protocol: Protocol
    trainings: dict[str, Training]
    reduced: dict[str, Any]  # what the scale changes
    sweeps: dict[str, "SweptStudy"] = field(default_factory=dict)

    def rounds(self, model: str | None = None) -> int:
        """Return the number of rounds of the study, or of one of its models, which may have fewer."""
        limit = self.file.models[model].rounds if model else None
        return min(self.protocol.rounds, limit or self.protocol.rounds)

    @property
    def folds(self) -> list[str]:
        """Names of the folds: ``0`` … or, without cross-validation, the one fold ``all``."""
        return [str(fold) for fold in range(self.protocol.folds)] if self.protocol.folds else ["all"]


@dataclass(frozen=True)
class SweptStudy:
    """A sweep at one scale, as a study of its own: its models are the points, which share pairs and seeds."""

    study: Study  # named <study>.<sweep>; no study's own name has a dot
    sweep: Sweep
    axes: dict[str, list[Value]]
    points: dict[str, dict[str, Value]]  # model of the study → its value on each axis
    best: dict[str, Value]  # what the report found best; empty where it says nothing


def study_at_scale(name: str, study: StudyFile, scale: str, file: str) -> Study:
    """Return what a study file says at one scale, without its sweeps.

    Raises:
        ConfigError: one line that names file and key.
    """
    changes = study.scales.get(scale)
    override = changes.model_dump(exclude_unset=True, exclude={"sweeps"}) if changes else {}
    protocol = overridden(Protocol, study.protocol, override, "protocol", file, "protocol", scale)
    trainings = {}
    for model_name, model in study.models.items():
        at, entry = f"models.{model_name}.training" if model.training else "training", f"models.{model_name}"
        own = merge(study.training, model.training)
        training = overridden(Training, own, override, "training", file, at, scale)
        if change := model.scales.get(scale):
            merged = merge(training.model_dump(exclude_unset=True), change["training"])
            training = validate(Training, merged, file, f"{entry}.scales.{scale}.training")
        trainings[model_name] = training
        check_training(training, model, protocol, f"{file}: {at}", f"{file}: {entry}", scale)
        validate(options_of(model.architecture), model.options, file, f"{entry}.options")
    if "loss_parts" in study.figures and not any(model.objective.varies for model in study.models.values()):
        raise ConfigError(f"{file}: figures: 'loss_parts' needs a model whose objective changes from epoch to epoch")
    if "folds" in study.figures and not protocol.folds:
        raise ConfigError(f"{file}: figures: 'folds' needs protocol.folds; any other is allowed")
    of_models = {name: model.scales[scale] for name, model in study.models.items() if scale in model.scales}
    reduced = override | ({"models": of_models} if of_models else {})
    return Study(name, study, protocol, trainings, reduced)


def check_training(training: Training, model: Model, protocol: Protocol, at: str, entry: str, scale: str) -> None:
    """Check that a model can be trained as ``training`` says, on as many pairs as ``protocol`` says.

    Args:
        training, model, protocol: what applies at ``scale``.
        at: file and key of the training, for messages.
        entry: file and key of the model, likewise.
        scale: the scale.

    Raises:
        ConfigError: one line that names file and key.
    """
    if training.early_stopping and not (protocol.folds or protocol.pairs.validation):
        raise ConfigError(
            f"{at}.early_stopping: needs validation pairs; allowed with protocol.folds or protocol.pairs.validation"
        )
    count = protocol.pairs.train - (protocol.pairs.train // protocol.folds if protocol.folds else 0)
    if training.batch_size > 1 and count % training.batch_size == 1:
        raise ConfigError(
            f"{at}.batch_size: {training.batch_size} leaves a last batch of 1 of {count} training "
            "pairs, which batch norm cannot take; any other size is allowed"
        )
    if training.early_stopping and model.objective.varies:
        raise ConfigError(f"{at}.early_stopping: {entry.partition(': ')[2]}.objective changes from epoch to "
                          "epoch, so its losses do not compare; allowed with constant weights")  # fmt: skip
    for number, phase in enumerate(model.objective.phases or []):
        if not phase_epochs(model.objective.model_dump(), training.epochs)[number]:
            raise ConfigError(f"{entry}.objective.phases.{number}.share: {phase.share} of "
                              f"{training.epochs} epochs ({scale}) is none; a larger share is allowed")  # fmt: skip


@cache
def options_of(architecture: str) -> type[BaseModel]:
    """Return the options of an architecture as a typed model; a whole number counts something, so it is at least 1."""
    declared = architectures()[architecture].options.items()
    options = {name: (Count if annotation is int else annotation, default) for name, (annotation, default) in declared}
    return create_model("Options", __config__=Strict.model_config, **options)

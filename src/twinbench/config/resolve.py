"""Turn a study file into the study at one scale; a contradiction raises ConfigError, with file and key."""

from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from twinbench.architectures.catalog import architectures
from twinbench.config.models import Config, ScaleChanges, StudyFile
from twinbench.config.reading import Reader, merge
from twinbench.spec.fields import Count, Scale, Strict
from twinbench.spec.model import Model, Protocol
from twinbench.spec.study import Described, Study
from twinbench.spec.training import Training


def study_at_scale(reader: Reader, name: str, file: StudyFile, config: Config, scale: Scale) -> Study:
    """Return the study of a file at one scale, without its sweeps. It need not be the scale that runs."""
    changes = file.scales.get(scale, ScaleChanges())
    reader.lay(Protocol, ("protocol", file.protocol))  # so that a mistake in the published one names its own key
    at_scale = f"scales.{scale}.protocol"
    protocol = reader.lay(Protocol, ("protocol", file.protocol), (at_scale, changes.protocol))
    models, reduced = {}, changes.model_dump(exclude_unset=True, exclude={"sweeps"})
    for key, entry in file.models.items():
        at, own = f"models.{key}", entry.scales.get(scale)
        training = reader.lay(
            Training, ("training", file.training), (f"{at}.training", entry.training),
            (f"scales.{scale}.training", changes.training), (f"{at}.scales.{scale}.training", own and own.training),
        )  # fmt: skip
        models[key] = reader.validate(
            Model, entry.model_dump(exclude_unset=True, exclude={"scales"}) | {"training": training}, at
        )
        where = f"{at}.training" if entry.training.model_fields_set else "training"
        check_training(reader, models[key], protocol, where, at, scale)
        reader.validate(options_of(entry.architecture), entry.options, f"{at}.options")
        if own:
            reduced = merge(reduced, {"models": {key: own.model_dump(exclude_unset=True)}})
    return Study(
        **{key: getattr(file, key) for key in Described.model_fields}, name=name, file=reader.file, protocol=protocol,
        models=models, seed=config.seed, reduced=reduced,
        rounds_per_job=file.rounds_per_job or config.rounds_per_job,
    )  # fmt: skip


def check_training(reader: Reader, model: Model, protocol: Protocol, at: str, entry: str, scale: Scale) -> None:
    """Check that a model's training settings fit the model and the pairs of ``protocol``.

    Model and protocol are those at ``scale``. Messages name the training by the key ``at``, the model by ``entry``.
    """
    training, own = model.training, architectures()[model.architecture].strategy
    if training.early_stopping and not (protocol.folds or protocol.pairs.validation):
        allowed = "allowed with protocol.folds or protocol.pairs.validation"
        reader.refuse(f"{at}.early_stopping", f"needs validation pairs; {allowed}")
    if training.early_stopping and model.objective.varies:
        reader.refuse(f"{at}.early_stopping", f"{entry}.objective changes from epoch to epoch, so its losses do not "
                                              "compare; allowed with constant weights")  # fmt: skip
    if own and (training.optimizer.name != "sgd" or training.optimizer.momentum):
        reader.refuse(f"{at}.optimizer", f"{model.architecture} trains by its framework's own gradient descent; "
                                         "allowed: sgd without momentum")  # fmt: skip
    if own and model.accelerator != "cpu":
        reader.refuse(f"{entry}.accelerator", f"{model.architecture} runs on a processor; allowed: cpu")
    count = protocol.pairs.train - (protocol.pairs.train // protocol.folds if protocol.folds else 0)
    if training.batch_size > 1 and count % training.batch_size == 1:
        reader.refuse(f"{at}.batch_size", f"{training.batch_size} leaves a last batch of 1 of {count} training pairs, "
                                          "which batch norm cannot take; any other size is allowed")  # fmt: skip
    for number, epochs in enumerate(model.objective.epochs(training.epochs)):
        if not epochs:
            share = model.objective.in_turn[number].share
            reader.refuse(f"{entry}.objective.phases.{number}.share", f"{share} of {training.epochs} epochs ({scale}) "
                                                                      "is none; a larger share is allowed")  # fmt: skip


@cache
def options_of(architecture: str) -> type[BaseModel]:
    """Return the options of an architecture as a typed model; a whole number counts something, so it is at least 1."""
    declared = architectures()[architecture].options.items()
    options: dict[str, Any] = {
        name: (Count if annotation is int else annotation, default) for name, (annotation, default) in declared
    }
    return create_model("Options", __config__=Strict.model_config, **options)

"""Turn a study file into the study at one scale; a contradiction raises ConfigError, with file and key."""

from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from twinbench.architectures.catalog import architectures
from twinbench.config.models import AsRun, Config, ModelChanges, ScaleChanges, StudyFile, as_run_name
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
        models[key] = _model(reader, file, key, None, protocol, scale)
        if entry.as_run:
            models[as_run_name(key)] = _model(reader, file, key, entry.as_run, protocol, scale)
        if own := entry.scales.get(scale):
            reduced = merge(reduced, {"models": {key: own.model_dump(exclude_unset=True)}})
    return Study(
        **{key: getattr(file, key) for key in Described.model_fields}, name=name, file=reader.file, protocol=protocol,
        models=models, seed=config.seed, reduced=reduced,
        rounds_per_job=file.rounds_per_job or config.rounds_per_job,
    )  # fmt: skip


def _model(
    reader: Reader, file: StudyFile, name: str, run: AsRun | None, protocol: Protocol, scale: Scale
) -> Model:  # fmt: skip
    """Return a model of the file at a scale: as described, or with what ``run`` changes."""
    entry, at = file.models[name], f"models.{name}"
    raw = entry.model_dump(exclude_unset=True, exclude={"scales", "as_run", "training"})
    parts = [("training", file.training), (f"{at}.training", entry.training)]
    if run:
        at, shared = f"{at}.as_run", file.as_run or AsRun()
        raw = _as_run(reader, name, raw, shared, run)
        parts += [("as_run.training", shared.training), (f"{at}.training", run.training)]
    where = [key for key, part in parts if part.model_fields_set or key == "training"][-1]
    own = entry.scales.get(scale, ModelChanges())
    if own.rounds:
        raw |= {"rounds": own.rounds}
    training = reader.lay(
        Training, *parts, (f"scales.{scale}.training", file.scales.get(scale, ScaleChanges()).training),
        (f"models.{name}.scales.{scale}.training", own.training),
    )  # fmt: skip
    model = reader.validate(Model, raw | {"training": training}, at)
    _check_model(reader, model, file, protocol, at)
    check_training(reader, model, protocol, where, at, scale)
    return model


def _as_run(reader: Reader, name: str, described: dict[str, Any], shared: AsRun, run: AsRun) -> dict[str, Any]:
    """Return the keys of a model as run, without its training: what the two sections change goes over the described."""
    own, of_study = (section.model_dump(exclude_unset=True) for section in (run, shared))
    changes = merge(of_study, own) | {"differs": [*shared.differs, *run.differs]}
    if not changes.keys() - {"differs"} or not changes["differs"]:
        needed = "needs a sentence for each difference (differs) and the keys that make it"
        reader.refuse(f"models.{name}.as_run", f"{needed}; both are allowed here or in the study's as_run")
    changes.pop("training", None)
    if changes.get("architecture", described["architecture"]) != described["architecture"]:
        described = described | {"options": {}}
    names = {"label": f"{described['label']}, as run", "as_run_of": name, "published": {}}
    return merge(described, changes) | names


def _check_model(reader: Reader, model: Model, file: StudyFile, protocol: Protocol, at: str) -> None:
    """Check that a model fits its architecture, the study's task and the folds."""
    architecture = architectures()[model.architecture]
    if architecture.task != file.task:
        reader.refuse(f"{at}.architecture", f"{model.architecture} is for the task {architecture.task}, this study's "
                                            f"is {file.task}; an architecture of that task is allowed")  # fmt: skip
    reader.validate(options_of(model.architecture), model.options, f"{at}.options")
    if model.reported_fold == "last" and not protocol.folds:
        reader.refuse(f"{at}.reported_fold", "there are no folds; allowed with protocol.folds")
    if model.whole_rounds and not (protocol.folds and model.reported_fold == "last"):
        reader.refuse(f"{at}.whole_rounds", "the rounds after them train the last fold alone; allowed with "
                                            "protocol.folds and reported_fold: last")  # fmt: skip


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
    _check_options(reader, training, protocol, own, at, scale)
    if model.sees_test and not model.as_run_of:
        reader.refuse(f"{at}.passes", "test pairs would have a part in the training; allowed in as_run sections only")
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


def _check_options(
    reader: Reader, training: Training, protocol: Protocol, own: str | None, at: str, scale: Scale
) -> None:
    """Check that the options of a training fit each other and the protocol."""
    for key in ("passes", "tested_in_training_mode"):
        if "validation" in getattr(training, key) and not (protocol.folds or protocol.pairs.validation):
            reader.refuse(f"{at}.{key}", "there are no validation pairs; allowed with folds or pairs.validation")
    if training.chain and not protocol.folds:
        reader.refuse(f"{at}.chain", "there are no folds to chain; allowed with protocol.folds")
    if training.evaluation_mode_from and training.evaluation_mode_from > training.epochs:
        allowed = f"allowed: 2 to {training.epochs}"
        reader.refuse(
            f"{at}.evaluation_mode_from", f"{training.epochs} epochs ({scale}) end before it begins; {allowed}"
        )
    if own and (training.chain or training.passes or training.evaluation_mode_from or training.tested_in_training_mode):
        reader.refuse(at, "our own framework has neither training mode nor chained folds; allowed without chain, "
                          "passes, evaluation_mode_from and tested_in_training_mode")  # fmt: skip


@cache
def options_of(architecture: str) -> type[BaseModel]:
    """Return the options of an architecture as a typed model; a whole number counts something, so it is at least 1."""
    declared = architectures()[architecture].options.items()
    options: dict[str, Any] = {
        name: (Count if annotation is int else annotation, default) for name, (annotation, default) in declared
    }
    return create_model("Options", __config__=Strict.model_config, **options)

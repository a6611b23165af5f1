"""Read and check the configuration: a mistake is one line that names file, key and what is allowed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError, create_model

from twinbench.architectures.catalog import architectures
from twinbench.config.models import Config, Protocol, Strict, StudyFile, Training
from twinbench.figures.catalog import figures


class ConfigError(Exception):
    """A mistake in the configuration; the message is one line: file, key, what is wrong, what is allowed."""


@dataclass(frozen=True)
class Study:
    """A study at one scale: its file, the protocol that applies, and the whole training of every model."""

    name: str
    file: StudyFile
    protocol: Protocol
    trainings: dict[str, Training]

    @property
    def folds(self) -> list[str]:
        """Names of the folds: ``0`` … or, without cross-validation, the one fold ``all``."""
        return [str(fold) for fold in range(self.protocol.folds)] if self.protocol.folds else ["all"]


def load_config(raw: dict[str, Any], file: str = "config/config.yaml") -> Config:
    """Check the workflow's configuration.

    Raises:
        ConfigError: one line that names file and key.
    """
    return _validate(Config, raw, file)


def load_studies(config: Config, folder: Path = Path("config/studies")) -> dict[str, Study]:
    """Load the studies that the configuration names, at its scale.

    Raises:
        ConfigError: one line that names file and key.
    """
    available = sorted(path.stem for path in folder.glob("*.yaml"))
    for name in config.studies:
        if name not in available:
            raise ConfigError(f"config/config.yaml: studies: unknown study {name!r}; allowed: {', '.join(available)}")
        if config.studies.count(name) > 1:
            raise ConfigError(f"config/config.yaml: studies: {name!r} is named twice; each study once is allowed")
    return {name: load_study(folder / f"{name}.yaml", config.scale) for name in config.studies}


def load_study(path: Path, scale: str) -> Study:
    """Load one study file at one scale.

    Raises:
        ConfigError: one line that names file and key.
    """
    file = path.as_posix()
    study = _validate(StudyFile, _read_yaml(path), file)
    override = study.scales.get(scale, {})
    protocol = _overridden(Protocol, study.protocol, override, "protocol", file, "protocol", scale)
    trainings = {}
    for name, model in study.models.items():
        at = f"models.{name}.training" if model.training else "training"
        own = _merge(study.training, model.training)
        trainings[name] = training = _overridden(Training, own, override, "training", file, at, scale)
        if training.early_stopping and not (protocol.folds or protocol.pairs.validation):
            raise ConfigError(
                f"{file}: {at}.early_stopping: needs validation pairs; allowed with protocol.folds or "
                "protocol.pairs.validation"
            )
        options = create_model("Options", __config__=Strict.model_config, **architectures()[model.architecture].options)
        _validate(options, model.options, file, f"models.{name}.options")
    for figure in study.figures:
        if figure not in figures():
            raise ConfigError(f"{file}: figures: unknown figure {figure!r}; allowed: {', '.join(sorted(figures()))}")
    if "folds" in study.figures and not protocol.folds:
        raise ConfigError(f"{file}: figures: 'folds' needs protocol.folds; allowed without it: curves, rounds")
    return Study(path.stem, study, protocol, trainings)


def _overridden(
    model: type[BaseModel], base: dict[str, Any], override: dict[str, Any], section: str, file: str, at: str, scale: str
) -> Any:
    """Validate the published section first, then with the scale's changes, so that a mistake names its own place."""
    published = _validate(model, base, file, at)
    if section not in override:
        return published
    return _validate(model, _merge(base, override[section]), file, f"scales.{scale}.{section}")


def _merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``override`` laid over it, section by section."""
    merged = dict(base)
    for key, value in override.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path.as_posix()}: line {line}: not valid YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path.as_posix()}: not valid YAML in UTF-8: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path.as_posix()}: the file must hold keys and values")
    return content


def _validate(model: type[BaseModel], raw: Any, file: str, at: str = "") -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = error.errors()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(f"{file}: {_explain(model, problems[0], at)}{more}") from error


def _explain(model: type[BaseModel], problem: dict[str, Any], at: str) -> str:
    """Say in one line which key is wrong and what is allowed."""
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(filter(None, [at, *path])) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed: {', '.join(_fields_at(model, problem['loc'][:-1])) or 'none'}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":  # our own checks name the key relative to their section
        return f"{key}.{message}" if path or at else message
    given = repr(problem["input"])
    return f"{key}: {message[0].lower()}{message[1:]}, not {given if len(given) < 60 else given[:57] + '...'}"


def _fields_at(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """Return the field names of the model that validation reached at ``loc``."""
    for part in loc:
        if part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_in(argument):
            return found
    return None

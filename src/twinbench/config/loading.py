"""Read and check the configuration: a mistake is one line that names file, key and what is allowed."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError, create_model

from twinbench.architectures.catalog import architectures
from twinbench.config.models import Config, Pretrained, Protocol, Strict, StudyFile, Training
from twinbench.config.scratch import ACTIVATION_LABELS, DiscProtocol, Net, PlainTraining, ScratchFile
from twinbench.data.checksums import CHECKSUMS
from twinbench.figures.catalog import figures
from twinbench.training.schedule import phase_epochs

MAX_BYTES = 1_000_000
KEY = re.compile(r"[a-z0-9_.-]+( \+ [a-z0-9_.-]+)?")  # how our own checks begin: a key, or a sum of two
SCALES = ("smoke", "quick", "paper")


class ConfigError(Exception):
    """A mistake in the configuration; the message is one line: file, key, what is wrong, what is allowed."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))  # a key or value may hold line breaks


class UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key named twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping as SafeLoader does, once its keys are known to differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is named twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Study:
    """A study at one scale: its file, the protocol that applies, and the whole training of every model."""

    name: str
    file: StudyFile
    protocol: Protocol
    trainings: dict[str, Training]
    reduced: dict[str, Any]  # what the scale changes

    def rounds(self, model: str | None = None) -> int:
        """Return the number of rounds of the study, or of one of its models, which may have fewer."""
        limit = self.file.models[model].rounds if model else None
        return min(self.protocol.rounds, limit or self.protocol.rounds)

    @property
    def folds(self) -> list[str]:
        """Names of the folds: ``0`` … or, without cross-validation, the one fold ``all``."""
        return [str(fold) for fold in range(self.protocol.folds)] if self.protocol.folds else ["all"]


@dataclass(frozen=True)
class Scratch:
    """The from-scratch study at one scale: its file, the nets of the disc, and what applies to them."""

    file: ScratchFile
    protocol: DiscProtocol
    nets: dict[str, Net]  # those of the file, then a net a width of the sweep
    trainings: dict[str, PlainTraining]  # of every net, and of ``digits``
    pairs: dict[str, int]  # counts a split of the study whose pairs the digit net compares


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
    for figure in study.figures:
        if figure not in figures():
            raise ConfigError(f"{file}: figures: unknown figure {figure!r}; allowed: {', '.join(sorted(figures()))}")
        if study.figures.count(figure) > 1:
            raise ConfigError(f"{file}: figures: {figure!r} is named twice; each figure once is allowed")
    # All scales are checked, whichever runs: a mistake is not to wait for the long run.
    return {each: _at_scale(path.stem, study, each, file) for each in SCALES}[scale]


def _at_scale(name: str, study: StudyFile, scale: str, file: str) -> Study:
    changes = study.scales.get(scale)
    override = changes.model_dump(exclude_unset=True) if changes else {}
    protocol = _overridden(Protocol, study.protocol, override, "protocol", file, "protocol", scale)
    trainings = {}
    for model_name, model in study.models.items():
        at = f"models.{model_name}.training" if model.training else "training"
        own = _merge(study.training, model.training)
        training = _overridden(Training, own, override, "training", file, at, scale)
        if change := override.get("models", {}).get(model_name):
            merged = _merge(training.model_dump(exclude_unset=True), change["training"])
            training = _validate(Training, merged, file, f"scales.{scale}.models.{model_name}.training")
        trainings[model_name] = training
        if training.early_stopping and not (protocol.folds or protocol.pairs.validation):
            raise ConfigError(
                f"{file}: {at}.early_stopping: needs validation pairs; allowed with protocol.folds or "
                "protocol.pairs.validation"
            )
        count = protocol.pairs.train - (protocol.pairs.train // protocol.folds if protocol.folds else 0)
        if training.batch_size > 1 and count % training.batch_size == 1:
            raise ConfigError(
                f"{file}: {at}.batch_size: {training.batch_size} leaves a last batch of 1 of {count} training "
                "pairs, which batch norm cannot take; any other size is allowed"
            )
        if training.early_stopping and model.objective.varies:
            raise ConfigError(f"{file}: {at}.early_stopping: models.{model_name}.objective changes from epoch to "
                              "epoch, so its losses do not compare; allowed with constant weights")  # fmt: skip
        for number, phase in enumerate(model.objective.phases or []):
            if not phase_epochs(model.objective.model_dump(), training.epochs)[number]:
                raise ConfigError(f"{file}: models.{model_name}.objective.phases.{number}.share: {phase.share} of "
                                  f"{training.epochs} epochs ({scale}) is none; a larger share is allowed")  # fmt: skip
        options = create_model("Options", __config__=Strict.model_config, **architectures()[model.architecture].options)
        _validate(options, model.options, file, f"models.{model_name}.options")
    if "loss_parts" in study.figures and not any(model.objective.varies for model in study.models.values()):
        raise ConfigError(f"{file}: figures: 'loss_parts' needs a model whose objective changes from epoch to epoch")
    if "folds" in study.figures and not protocol.folds:
        raise ConfigError(f"{file}: figures: 'folds' needs protocol.folds; any other is allowed")
    return Study(name, study, protocol, trainings, override)


def load_scratch(config: Config, path: Path = Path("config/scratch.yaml")) -> Scratch:
    """Load the from-scratch study at the configuration's scale.

    Raises:
        ConfigError: one line that names file and key.
    """
    file = path.as_posix()
    scratch = _validate(ScratchFile, _read_yaml(path), file)
    study = path.parent / "studies" / f"{scratch.digits.study}.yaml"
    if not study.exists():
        available = ", ".join(sorted(other.stem for other in study.parent.glob("*.yaml")))
        raise ConfigError(f"{file}: digits.study: unknown study {scratch.digits.study!r}; allowed: {available}")
    # All scales are checked, whichever runs: a mistake is not to wait for the long run.
    return {each: _scratch_at_scale(scratch, each, file, study) for each in SCALES}[config.scale]


def _scratch_at_scale(scratch: ScratchFile, scale: str, file: str, study: Path) -> Scratch:
    changes = scratch.scales.get(scale)
    override = changes.model_dump(exclude_unset=True) if changes else {}
    protocol = _overridden(DiscProtocol, scratch.protocol, override, "protocol", file, "protocol", scale)
    base = scratch.nets[scratch.main]
    nets = dict(scratch.nets)
    for width in override.get("widths") or scratch.widths:
        depth = len(base.hidden)
        label = f"{depth}×{width}, {ACTIVATION_LABELS[base.activation]}"
        nets[f"width-{width}"] = Net(
            label=label, hidden=[width] * depth, activation=base.activation, training=base.training
        )
    trainings = {}
    for name, net in {**nets, "digits": scratch.digits}.items():
        at = "digits.training" if name == "digits" else f"nets.{name}.training" if net.training else "training"
        own = _merge(scratch.training, net.training)
        trainings[name] = _overridden(PlainTraining, own, override, "training", file, at, scale)
    pairs = load_study(study, scale).protocol.pairs
    return Scratch(scratch, protocol, nets, trainings, pairs.model_dump())


def check_data(source: str, shipped: str = "resources/mnist") -> None:
    """Check that ``data.source`` can be what it says; the files' content is verified when they are read.

    Raises:
        ConfigError: the folder leaves the project by ``..``, is none, or lacks a file.
    """
    key = "config/config.yaml: data.source"
    if source == "download":
        return
    folder = Path(shipped if source == "shipped" else source)
    if ".." in folder.parts:
        raise ConfigError(
            f"{key}: {source!r} leaves the project; allowed: shipped, download, a folder inside it, an absolute path"
        )
    if not folder.is_dir():
        raise ConfigError(f"{key}: no folder {source!r}; allowed: shipped, download, or a folder with the MNIST files")
    for name in CHECKSUMS:
        if not ((folder / name).is_file() or (folder / f"{name}.gz").is_file()):
            raise ConfigError(f"{key}: {folder.as_posix()} has no {name} or {name}.gz; allowed: a folder with all four")


def check_pretrained(pretrained: Pretrained) -> None:
    """Check that every key of ``pretrained`` can be what it says; a file's content is checked when it is read.

    Raises:
        ConfigError: the file leaves the project by ``..``, is none, or is of another kind.
    """
    for name, source in pretrained:
        if source in ("random", "download"):
            continue
        key, path = f"config/config.yaml: pretrained.{name}", Path(source)
        if ".." in path.parts:
            raise ConfigError(
                f"{key}: {source!r} leaves the project; allowed: random, download, a file inside it, an absolute path"
            )
        if path.suffix not in (".pth", ".safetensors"):
            raise ConfigError(f"{key}: unknown {source!r}; allowed: random, download, or a .pth or .safetensors file")
        if not path.is_file():
            raise ConfigError(f"{key}: no file {source!r}; allowed: random, download, or a .pth or .safetensors file")


def check_writable(folder: str) -> None:
    """Check that results can be written.

    Raises:
        ConfigError: the folder, or the one it would be made in, is read-only or no folder.
    """
    path = Path(folder)
    nearest = path if path.exists() else path.resolve().parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: results cannot be written here; a folder with write permission is needed")


def check_file(path: Path) -> None:
    """Check that a configuration file is YAML in UTF-8 of a sane size, before Snakemake reads it.

    Raises:
        ConfigError: one line that names file and line.
    """
    _read_yaml(path)


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
    file = path.as_posix()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_BYTES:,} bytes, which no configuration is")
        text = path.read_text(encoding="utf-8")
        # An alias of an alias of … is a few lines that unfold to gigabytes; no file here needs one.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1
                raise ConfigError(f"{file}: line {line}: aliases such as *{event.anchor} are not allowed")
        content = yaml.load(text, Loader=UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{file}: line {line}: not valid YAML: {error.problem}") from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{file}: not readable as YAML in UTF-8: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: the file must hold keys and values")
    return content


def _validate(model: type[BaseModel], raw: Any, file: str, at: str = "") -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # An unknown key first: a missing one is often the same key, misspelt.
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(f"{file}: {_explain(model, problems[0], at)}{more}") from error


def _explain(model: type[BaseModel], problem: dict[str, Any], at: str) -> str:
    """Say in one line which key is wrong and what is allowed."""
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(filter(None, [at, *path]))
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed: {', '.join(_fields_at(model, problem['loc'][:-1])) or 'none'}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":  # our own checks name the key relative to their section
        own_key, colon, rest = message.partition(": ")
        return ".".join(filter(None, [key, own_key])) + colon + rest if KEY.fullmatch(own_key) else f"{key}: {message}"
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

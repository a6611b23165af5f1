"""Read and check configuration files; a mistake raises ConfigError: one line with file, key and what is allowed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from twinbench.data.dataset import Dataset
from twinbench.files import ConfigError

M = TypeVar("M", bound=BaseModel)
MAX_BYTES = 1_000_000
KEY = re.compile(r"[a-z0-9_.-]+( \+ [a-z0-9_.-]+)?")  # our own messages begin with a key, or a sum of two


class UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key named twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping as SafeLoader does, after checking that its keys differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is named twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``override`` laid over it, section by section."""
    merged = dict(base)
    for key, value in override.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises:
        ConfigError: the file is too large, is no YAML in UTF-8, or does not hold keys and values.
    """
    file = path.as_posix()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file}: too large; a configuration file of at most {MAX_BYTES:,} bytes is allowed")
        text = path.read_text(encoding="utf-8")
        # A few lines of nested aliases can unfold to gigabytes; no file here needs an alias.
        for event in yaml.parse(text, Loader=yaml.SafeLoader) if "*" in text else ():
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


@dataclass(frozen=True)
class Reader:
    """Turns parts of one file into typed values."""

    file: str  # path for messages
    dataset: Dataset | None = None  # what the pairs are drawn from; None where the task draws none

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise a mistake in a key."""
        raise ConfigError(f"{self.file}: {key}: {reason}")

    def validate(self, model: type[M], raw: Any, at: str = "") -> M:
        """Return ``raw`` as a ``model``; raise the first mistake, with its key below ``at``."""
        try:
            return model.model_validate(raw, context=self.dataset)
        except ValidationError as error:
            # Unknown keys come first: a missing key is often the same key, misspelt.
            problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ConfigError(f"{self.file}: {_explain(model, problems[0], at)}{more}") from error

    def lay(self, model: type[M], *parts: tuple[str, BaseModel | None]) -> M:
        """Return a whole ``model``: each part goes over the ones before it, section by section.

        Args:
            model: what the parts make together.
            parts: each part's key in the file, and its content. A mistake is named below the last part that has any.
        """
        raw, at = {}, parts[0][0]
        for key, part in parts:
            if part and part.model_fields_set:
                raw, at = merge(raw, part.model_dump(exclude_unset=True)), key
        return self.validate(model, raw, at)


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

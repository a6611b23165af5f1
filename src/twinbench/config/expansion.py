"""A sweep of a study file as a study of its own, whose models are the points: all its rules are those of any study."""

from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import quote

from twinbench.architectures.catalog import architectures
from twinbench.config.models import Model, Protocol, Training
from twinbench.config.reading import ConfigError, merge, validate
from twinbench.config.studies import Study, SweptStudy, check_training, options_of
from twinbench.config.sweeps import ROOTS, TRAIN_PAIRS, Sweep, SweepChanges, Value, axis_label

HEADS = {"digit_error": "digits", "target_loss": "target"}  # metrics that need one head


def expand_sweeps(study: Study, scale: str, file: str) -> dict[str, SweptStudy]:
    """Return the sweeps of a study at one scale.

    A sweep starts from the study at that scale; its own keys come over that, then what the scale changes in sweeps,
    then the values of a point. It has no folds, and as many validation pairs as test pairs unless it says so.

    Raises:
        ConfigError: one line that names file and key.
    """
    return {name: _Expansion(study, name, sweep, scale, file).expand() for name, sweep in study.file.sweeps.items()}


class _Expansion:
    """One sweep on its way to a study; keys in messages are those of the file."""

    def __init__(self, study: Study, name: str, sweep: Sweep, scale: str, file: str):
        self.study, self.name, self.sweep, self.scale, self.file = study, name, sweep, scale, file
        self.at, self.models = f"sweeps.{name}", study.file.models
        if sweep.base not in self.models:
            self.refuse("base", f"unknown model {sweep.base!r}; allowed: {', '.join(self.models)}")
        changes = study.file.scales.get(scale)
        self.changes = changes.sweeps if changes else SweepChanges()
        self.protocol = self._protocol()
        self.model = self._model()
        dumped = study.trainings[sweep.base].model_dump(exclude_unset=True)
        own = validate(Training, merge(dumped, sweep.training), file, f"{self.at}.training")
        merged = merge(own.model_dump(exclude_unset=True), self.changes.training)
        self.training = validate(Training, merged, file, f"scales.{scale}.sweeps.training")

    def refuse(self, key: str, reason: str) -> None:
        raise ConfigError(f"{self.file}: {self.at}.{key}: {reason}")

    def expand(self) -> SweptStudy:
        whole = {path: self._values(path, raw) for path, raw in self.sweep.axes.items()}
        best = self._best(whole)
        axes = {path: _spread(values, self.changes.values) for path, values in whole.items()}
        points, models, trainings = {}, {}, {}
        for values in product(*axes.values()):
            settings = dict(zip(axes, values, strict=True))
            name = point_name(settings)
            points[name] = settings
            models[name], trainings[name], _ = self._point(settings, "axes")
        cleared = {"models": models, "figures": [], "choices": [], "sweeps": {}, "parameter_budget": None}
        derived = replace(
            self.study,
            name=f"{self.study.name}.{self.name}",
            file=self.study.file.model_copy(update=cleared),
            protocol=self.protocol,
            trainings=trainings,
            reduced=merge(self.study.reduced, self.changes.model_dump(exclude_unset=True)),
        )
        return SweptStudy(derived, self.sweep, axes, points, best)

    def _protocol(self) -> Protocol:
        base = self.study.protocol.model_dump(exclude={"folds": True, "pairs": {"validation"}})
        own = merge(base, self.sweep.protocol)
        validate(Protocol, _with_validation(own), self.file, f"{self.at}.protocol")
        merged = _with_validation(merge(own, self.changes.protocol))
        protocol = validate(Protocol, merged, self.file, f"scales.{self.scale}.sweeps.protocol")
        if not protocol.pairs.validation:
            self.refuse("protocol.pairs.validation", "the best setting is chosen on these pairs; at least 1 is allowed")
        return protocol

    def _model(self) -> Model:
        """Return the base model with what is different in all points."""
        base, sweep = self.models[self.sweep.base], self.sweep
        raw = base.model_dump(include={"label", "architecture", "accelerator"}) | {
            "options": base.options | sweep.options,
            "objective": base.objective.model_dump() if sweep.objective is None else sweep.objective,
            "decision": sweep.decision or base.decision,
        }
        model = validate(Model, raw, self.file, self.at)
        validate(options_of(model.architecture), model.options, self.file, f"{self.at}.options")
        head, heads = HEADS.get(sweep.metric), architectures()[model.architecture].heads
        if head and head not in heads:
            self.refuse("metric", f"{sweep.metric} needs a {head} head, which {model.architecture} lacks; "
                                  "allowed: accuracy, error, loss")  # fmt: skip
        if head and head not in model.objective.trained:
            self.refuse("metric", f"{sweep.metric} needs a {head} head that the objective trains; "
                                  "allowed: accuracy, error, loss")  # fmt: skip
        if sweep.metric == "loss" and any(path.startswith("objective.") for path in sweep.axes):
            self.refuse("metric", "the loss is another one at every value of an objective axis; "
                                  "allowed: accuracy, error, digit_error, target_loss")  # fmt: skip
        return model

    def _point(self, settings: dict[str, Value], key: str) -> tuple[Model, Training, Protocol]:
        """Return model, training and protocol with some values in place; messages name them below ``key``."""
        at = f"{self.at}.{key}"
        raw = {
            "training": self.training.model_dump(exclude_unset=True),
            "options": self.model.options,
            "objective": self.model.objective.model_dump(exclude_none=True),
            "protocol": self.protocol.model_dump(),
        }
        for path, value in settings.items():
            nested = value
            for part in reversed(path.split(".")):
                nested = {part: nested}
            raw = merge(raw, nested)
        training = validate(Training, raw["training"], self.file, f"{at}.training")
        protocol = validate(Protocol, raw["protocol"], self.file, f"{at}.protocol")
        options = validate(options_of(self.model.architecture), raw["options"], self.file, f"{at}.options")
        update = {"options": options.model_dump(exclude_unset=True), "objective": raw["objective"]}
        label = ", ".join(f"{axis_label(path)} {value_text(value)}" for path, value in settings.items())
        model = validate(Model, self.model.model_dump() | update | {"label": label}, self.file, at)
        check_training(training, model, protocol, f"{self.file}: {at}.training", f"{self.file}: {at}", self.scale)
        return model, training, protocol

    def _values(self, path: str, raw: list[Any]) -> list[Value]:
        """Return the values of an axis as the option that it names has them: ``1e-3`` in a file is a number."""
        values = [self._value(path, value, "axes") for value in raw]
        for value in values:
            if values.count(value) > 1:
                self.refuse(f"axes.{path}", f"{value!r} is named twice; each value once is allowed")
        return values

    def _value(self, path: str, raw: Any, key: str) -> Value:
        root, _, rest = path.partition(".")
        if path != TRAIN_PAIRS and (root not in ROOTS or not rest):
            allowed = ", ".join([*(f"{root}.…" for root in ROOTS), TRAIN_PAIRS])
            self.refuse(f"{key}.{path}", f"names no option of the base model; allowed: {allowed}")
        model, training, protocol = self._point({path: raw}, key)
        value = {"training": training.model_dump(), "options": model.options, "objective": model.objective.model_dump(),
                 "protocol": protocol.model_dump()}  # fmt: skip
        for part in path.split("."):
            value = value[part]
        if isinstance(raw, bool) and not isinstance(value, bool):
            self.refuse(f"{key}.{path}", f"input should be a valid number, not {str(raw).lower()}")
        return value

    def _best(self, axes: dict[str, list[Value]]) -> dict[str, Value]:
        """Return what the report found best, as values of the axes."""
        best = {}
        for path, raw in (self.sweep.published.best if self.sweep.published else {}).items():
            key = f"published.best.{path}"
            if path not in axes:
                self.refuse(key, f"no axis of this sweep; allowed: {', '.join(axes)}")
            best[path] = self._value(path, raw, "published.best")
            if best[path] not in axes[path]:
                self.refuse(key, f"{raw!r} is no value of that axis; allowed: {', '.join(map(str, axes[path]))}")
        return best


def point_name(settings: dict[str, Value]) -> str:
    """Return a name that differs where the values do and is safe in paths: ``lr-0.01_decay-0.95``."""
    return "_".join(
        f"{path.rpartition('.')[2]}-{quote(value_text(value), safe='+')}" for path, value in settings.items()
    )


def value_text(value: Value) -> str:
    """Return a value as a file would have it: ``1.0`` → ``1``, ``True`` → ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _spread(values: list[Value], count: int | None) -> list[Value]:
    """Return at most ``count`` values: the first, the last, and others evenly between; all if it is None."""
    if count is None or count >= len(values):
        return values
    return [values[round(place * (len(values) - 1) / max(count - 1, 1))] for place in range(count)]


def _with_validation(protocol: dict[str, Any]) -> dict[str, Any]:
    """Return a protocol that, where it names no validation pairs, has as many as test pairs."""
    pairs = protocol["pairs"]
    if not isinstance(pairs, dict) or "test" not in pairs:
        return protocol  # which is refused
    return protocol | {"pairs": {"validation": pairs["test"]} | pairs}

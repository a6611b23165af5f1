"""Turn a sweep of a study file into a study whose models are the settings; a mistake raises ConfigError."""

from itertools import product
from typing import Any
from urllib.parse import quote

from twinbench.architectures.catalog import architectures
from twinbench.config.models import ScaleChanges, StudyFile
from twinbench.config.reading import Reader, merge
from twinbench.config.resolve import check_training, options_of
from twinbench.metric import METRICS
from twinbench.spec.fields import Scale
from twinbench.spec.model import Model, Protocol
from twinbench.spec.objectives import HEADS
from twinbench.spec.study import TRAIN_PAIRS, Axis, Study, Swept, Value
from twinbench.spec.training import Training

# The parts of a model that an axis may vary; its path begins with one of them.
ROOTS = ("training", "options", "objective")
LABELS = {
    "training.optimizer.lr": "learning rate",
    "training.optimizer.decay": "decay factor per epoch",
    "training.batch_size": "batch size in pairs",
    TRAIN_PAIRS: "training pairs",
}


class Expansion:
    """One sweep that becomes a study; messages name the keys of the file.

    A sweep starts from the study at that scale. Its own keys go over that, then the scale's changes in sweeps, then
    the values of a setting. It has no folds. Unless it names validation pairs, it has as many as test pairs.
    """

    def __init__(self, reader: Reader, study: Study, file: StudyFile, name: str, scale: Scale):
        self.reader, self.study, self.name, self.scale = reader, study, name, scale
        self.sweep, self.at = file.sweeps[name], f"sweeps.{name}"
        if self.sweep.base not in study.models:
            self.refuse("base", f"unknown model {self.sweep.base!r}; allowed: {', '.join(study.models)}")
        self.changes = file.scales.get(scale, ScaleChanges()).sweeps
        self.protocol = self._protocol()
        self.raw = self._model()

    def refuse(self, key: str, reason: str) -> None:
        self.reader.refuse(f"{self.at}.{key}", reason)

    def expand(self) -> Study:
        """Return the sweep as a study."""
        whole = {path: [self._value(path, value, "axes") for value in raw] for path, raw in self.sweep.axes.items()}
        for path, values in whole.items():
            if twice := [value for value in values if values.count(value) > 1]:
                self.refuse(f"axes.{path}", f"{twice[0]!r} is named twice; each value once is allowed")
        best = self._best(whole)
        axes = {path: _spread(values, self.changes.values) for path, values in whole.items()}
        settings = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        models = {setting_name(setting): self._setting(setting, "axes")[0] for setting in settings}
        reduced = self.changes.model_dump(exclude_unset=True)
        swept = Swept(
            parent=self.study.name, name=self.name, reduced=reduced,
            **self.sweep.model_dump(include={"base", "metric", "split"}),
            conclusion=self.sweep.published and self.sweep.published.conclusion,
            claimed=[setting_name(setting) for setting in settings if best and best.items() <= setting.items()],
            axes=[Axis(path=path, label=axis_label(path), values=values, texts=list(map(value_text, values)))
                  for path, values in axes.items()],
            settings={name: list(setting.values()) for name, setting in zip(models, settings, strict=True)},
        )  # fmt: skip
        return self.study.model_copy(update={
            "name": f"{self.study.name}.{self.name}", "title": self.sweep.title, "about": None, "choices": [],
            "protocol": self.protocol, "models": models, "swept": swept, "parameter_budget": None,
            "figures": ["sweep_line" if len(axes) == 1 else "sweep_map"],
            "reduced": merge(self.study.reduced, reduced),
        })  # fmt: skip

    def _protocol(self) -> Protocol:
        raw = self.study.protocol.model_dump(exclude={"folds": True, "pairs": {"validation"}})
        for at, part in ((self.at, self.sweep), (f"scales.{self.scale}.sweeps", self.changes)):
            raw = merge(raw, part.protocol.model_dump(exclude_unset=True))
            whole = raw | {"pairs": {"validation": raw["pairs"]["test"]} | raw["pairs"]}
            protocol = self.reader.validate(Protocol, whole, f"{at}.protocol")
        if not protocol.pairs.validation:
            self.refuse("protocol.pairs.validation", "the best setting is chosen on these pairs; at least 1 is allowed")
        return protocol

    def _model(self) -> dict[str, Any]:
        """Return the base model with the changes that all settings share."""
        base, sweep = self.study.models[self.sweep.base], self.sweep
        training = self.reader.lay(
            Training, ("", base.training), (f"{self.at}.training", sweep.training),
            (f"scales.{self.scale}.sweeps.training", self.changes.training),
        )  # fmt: skip
        raw = base.model_dump(include={"label", "architecture", "accelerator"}) | {
            "options": base.options | sweep.options,
            "objective": (sweep.objective or base.objective).model_dump(),
            "decision": sweep.decision or base.decision,
            "training": training.model_dump(exclude_unset=True),
        }
        model = self.reader.validate(Model, raw, self.at)
        self.reader.validate(options_of(model.architecture), model.options, f"{self.at}.options")
        self._check_metric(model)
        return raw

    def _check_metric(self, model: Model) -> None:
        metric, of_sweeps = METRICS[self.sweep.metric], [m for m in METRICS.values() if not m.hardware]
        headless = ", ".join(other.name for other in of_sweeps if not other.head)
        if metric.head and metric.head not in model.objective.trained:
            lacks = metric.head not in architectures()[model.architecture].heads
            why = f"head, which {model.architecture} lacks" if lacks else "head that the objective trains"
            self.refuse("metric", f"{metric.name} needs a {metric.head} {why}; allowed: {headless}")
        if metric.of_weights and any(path.startswith("objective.") for path in self.sweep.axes):
            allowed = ", ".join(other.name for other in of_sweeps if not other.of_weights)
            self.refuse("metric", f"the loss is another one at every value of an objective axis; allowed: {allowed}")

    def _setting(self, setting: dict[str, Value], key: str) -> tuple[Model, Protocol]:
        """Return model and protocol with these values set; messages name them below ``key``."""
        raw, at = self.raw | {"protocol": self.protocol.model_dump()}, f"{self.at}.{key}"
        for path, value in setting.items():
            nested = value
            for part in reversed(path.split(".")):
                nested = {part: nested}
            raw = merge(raw, nested)
        protocol = self.reader.validate(Protocol, raw.pop("protocol"), f"{at}.protocol")
        options = self.reader.validate(options_of(raw["architecture"]), raw["options"], f"{at}.options")
        raw["options"] = options.model_dump(exclude_unset=True)
        raw["label"] = ", ".join(f"{axis_label(path)} {value_text(value)}" for path, value in setting.items())
        model = self.reader.validate(Model, raw, at)
        check_training(self.reader, model, protocol, f"{at}.training", at, self.scale)
        return model, protocol

    def _value(self, path: str, raw: Any, key: str) -> Value:
        """Return a value of an axis with the type of its option: ``1e-3`` in a file becomes a number."""
        root, _, rest = path.partition(".")
        if path != TRAIN_PAIRS and (root not in ROOTS or not rest):
            allowed = ", ".join([*(f"{root}.…" for root in ROOTS), TRAIN_PAIRS])
            self.refuse(f"{key}.{path}", f"names no option of the base model; allowed: {allowed}")
        model, protocol = self._setting({path: raw}, key)
        weights = {head: getattr(model.objective, head).model_dump() for head in HEADS}
        value = model.model_dump() | {"objective": weights, "protocol": protocol.model_dump()}
        for part in path.split("."):
            value = value[part]
        if isinstance(raw, bool) and not isinstance(value, bool):
            self.refuse(f"{key}.{path}", f"input should be a valid number, not {str(raw).lower()}")
        return value

    def _best(self, axes: dict[str, list[Value]]) -> dict[str, Value]:
        """Return the values that the report found best, by axis; empty if it names none."""
        best = {}
        for path, raw in ((self.sweep.published and self.sweep.published.best) or {}).items():
            key = f"published.best.{path}"
            if path not in axes:
                self.refuse(key, f"no axis of this sweep; allowed: {', '.join(axes)}")
            best[path] = self._value(path, raw, "published.best")
            if best[path] not in axes[path]:
                self.refuse(key, f"{raw!r} is no value of that axis; allowed: {', '.join(map(str, axes[path]))}")
        return best


def axis_label(path: str) -> str:
    """Return an axis in words: ``options.dense_width`` → ``dense width``."""
    return LABELS.get(path, path.rpartition(".")[2].replace("_", " "))


def setting_name(setting: dict[str, Value]) -> str:
    """Return a name that differs where the values do and is safe in paths: ``lr-0.01_decay-0.95``."""
    return "_".join(
        f"{path.rpartition('.')[2]}-{quote(value_text(value), safe='+')}" for path, value in setting.items()
    )


def value_text(value: Value) -> str:
    """Return a value as a file writes it: ``1.0`` → ``1``, ``True`` → ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _spread(values: list[Value], count: int | None) -> list[Value]:
    """Return at most ``count`` values: the first, the last, and others evenly between; all if ``count`` is None."""
    if count is None or count >= len(values):
        return values
    return [values[round(place * (len(values) - 1) / max(count - 1, 1))] for place in range(count)]

"""The configuration files as typed models: what config.yaml and the study files may say."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from twinbench.data.dataset import datasets
from twinbench.metric import METRICS
from twinbench.spec.fields import CONSTANT, Count, Name, Scale, Strict, partial
from twinbench.spec.model import Entry, MetricName, Protocol
from twinbench.spec.objectives import Objective
from twinbench.spec.study import Described
from twinbench.spec.training import Training

PartialTraining, PartialProtocol = partial(Training), partial(Protocol)


def _declared(name: str) -> str:
    if name not in datasets():
        raise ValueError(f"unknown {name!r}; allowed: {', '.join(sorted(datasets()))}")
    return name


DatasetName = Annotated[str, AfterValidator(_declared)]


class Data(Strict):
    """Which images the pairs are made of, and where their files come from: ``shipped``, ``download`` or a folder."""

    dataset: DatasetName = "mnist"
    source: str = "shipped"


class Pretrained(Strict):
    """Where models that take pre-trained weights start: ``random``, ``download`` or a file of weights."""

    resnet18: str = "random"


class Config(Strict):
    """config/config.yaml: what to run."""

    scale: Scale
    studies: Annotated[list[Name], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    rounds_per_job: Count
    data: Data = Data()
    pretrained: Pretrained = Pretrained()
    partial: Annotated[bool, Field(strict=False)] = False  # a command line gives it as text
    sweeps: Literal["paper"] | Annotated[bool, Field(strict=False)] = "paper"  # at the paper scale alone, always, never

    @property
    def with_sweeps(self) -> bool:
        """Whether the sweeps of the studies run."""
        return self.scale == "paper" if self.sweeps == "paper" else self.sweeps

    @property
    def results(self) -> str:
        """Folder of the scale, and of the data set unless it is MNIST; so switching back and forth retrains nothing."""
        return f"results/{self.scale}" + ("" if self.data.dataset == "mnist" else f"-{self.data.dataset}")


class ModelChanges(Strict):
    """The changes that a scale makes in one model, as described and as run."""

    rounds: Count | None = None
    training: PartialTraining = PartialTraining()


class AsRun(Strict):
    """A model as its authors' code ran: keys that go over those of the model as described, section by section.

    A study's section applies to every model that has a section too, which may be empty; the model's section goes over
    the study's. With another architecture, the described model's options do not count.
    """

    differs: list[str] = Field(default_factory=list)  # a sentence for each difference
    metrics: dict[MetricName, MetricName] = Field(default_factory=dict)  # published metric → what the code called so
    architecture: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    objective: dict[str, Any] = Field(default_factory=dict)
    decision: Literal["target", "digits"] | None = None
    accelerator: Literal["cpu", "gpu"] | None = None
    rounds: Count | None = None
    whole_rounds: Count | None = None
    rounds_per_job: Count | None = None
    reported_fold: Literal["best", "last"] | None = None
    training: PartialTraining = PartialTraining()


class ModelFile(Entry):
    """A model in a study file; its training holds only what differs from the study's."""

    training: PartialTraining = PartialTraining()
    scales: dict[Scale, ModelChanges] = Field(default_factory=dict)
    as_run: AsRun | None = None


def _plain(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{value!r} is no value of an axis; a number, a text, true or false is allowed")
    return value


RawValue = Annotated[Any, AfterValidator(_plain), WithJsonSchema({"type": ["number", "string", "boolean"]})]


class Conclusion(Strict):
    """The report's conclusion: in words, and as the value of one or both axes that it found best, or kept."""

    conclusion: str
    best: Annotated[dict[str, RawValue], Field(min_length=1)] | None = None


class Sweep(Strict):
    """One sweep: ``base`` names a model of the study, the keys after it say what is different in all settings.

    The keys of ``axes`` are dotted paths into the model: ``training.optimizer.lr``, ``options.width``.
    """

    title: str
    base: str
    objective: Objective | None = None
    decision: Literal["target", "digits"] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    training: PartialTraining = PartialTraining()
    protocol: PartialProtocol = PartialProtocol()
    axes: Annotated[dict[str, Annotated[list[RawValue], Field(min_length=1)]], Field(min_length=1, max_length=2)]
    metric: Literal[tuple(name for name, metric in METRICS.items() if not metric.hardware)]
    split: Literal["train", "validation", "test"] = "validation"  # what is shown; validation pairs choose the best
    published: Conclusion | None = None


class SweepChanges(Strict):
    """The changes that a scale makes in every sweep of a study."""

    protocol: PartialProtocol = PartialProtocol()
    training: PartialTraining = PartialTraining()
    values: Count | None = None  # at most so many of each axis, spread over its list


class ScaleChanges(Strict):
    """The changes that a scale makes in a study."""

    protocol: PartialProtocol = PartialProtocol()
    training: PartialTraining = PartialTraining()
    sweeps: SweepChanges = SweepChanges()


def as_run_name(model: str) -> str:
    """Return the name of the model that an ``as_run`` section makes."""
    return f"{model}-as-run"


class StudyFile(Described):
    """config/studies/<study>.yaml; ``scales`` holds what differs from the published protocol."""

    dataset: DatasetName | None = None  # the only data set that the study is about; None: any
    protocol: PartialProtocol
    training: PartialTraining
    as_run: AsRun | None = None  # in every model with an as_run section
    scales: dict[Scale, ScaleChanges] = Field(default_factory=dict)
    models: Annotated[dict[Name, ModelFile], Field(min_length=1)]
    rounds_per_job: Count | None = None
    sweeps: dict[Name, Sweep] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> "StudyFile":
        if CONSTANT in self.models:
            raise ValueError(f"models.{CONSTANT}: every study has this baseline already; any other name is allowed")
        for name, model in self.models.items():
            count, budget = model.published.parameters, self.parameter_budget
            if count and budget and count > budget:
                raise ValueError(f"models.{name}.published.parameters: {count} is over the budget; at most {budget} "
                                 "(parameter_budget) are allowed")  # fmt: skip
            if model.as_run and as_run_name(name) in self.models:
                raise ValueError(f"models.{name}.as_run: makes the model {as_run_name(name)}, which is there already; "
                                 "another name for that one is allowed")  # fmt: skip
            if model.tries:
                self._check_trial(name, model)
        return self

    def _check_trial(self, name: str, model: ModelFile) -> None:
        """Check that a model that tries to explain published values has none of its own, and that the values exist."""
        published = [other for other, entry in self.models.items() if entry.published.values]
        if model.published.values:
            raise ValueError(f"models.{name}.tries: the model has published values of its own; "
                             "allowed without published.values")  # fmt: skip
        if model.tries not in published:
            allowed = ", ".join(published) or "none"
            raise ValueError(f"models.{name}.tries: no model {model.tries!r} with published values; allowed: {allowed}")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each kind of configuration file, for editors."""
    return {"config": Config.model_json_schema(), "study": StudyFile.model_json_schema()}


if __name__ == "__main__":  # make schemas
    for kind, schema in schemas().items():
        Path(sys.argv[1], f"{kind}.schema.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")

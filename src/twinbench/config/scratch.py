"""config/scratch.yaml as typed models: the from-scratch framework's disc task."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twinbench.config.fields import Count, Name, Positive, Strict
from twinbench.config.models import Published, Source

ACTIVATION_LABELS = {"relu": "ReLU", "tanh": "Tanh"}
Widths = Annotated[list[Count], Field(min_length=1)]


class Points(Strict):
    """Points in each split."""

    train: Count
    test: Count


class DiscProtocol(Strict):
    """What is repeated on how many points."""

    points: Points
    rounds: Count


class PlainTraining(Strict):
    """How a net is trained, by plain gradient descent."""

    epochs: Count
    batch_size: Count
    lr: Positive
    standardise: bool = True


class Net(Strict):
    """A dense net with one output: hidden widths, activation, what differs in its training, what was published."""

    label: str
    hidden: Widths
    activation: Literal["relu", "tanh"]
    training: dict[str, Any] = Field(default_factory=dict)
    published: Published = Published()


class DigitNet(Net):
    """The net that compares digits, on the pairs of a study."""

    study: Name


class ScaleChanges(Strict):
    """What a scale changes."""

    protocol: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    widths: Widths | None = None


class ScratchFile(Strict):
    """config/scratch.yaml; ``scales`` holds what differs from the published protocol."""

    title: str
    source: Source
    protocol: dict[str, Any]
    training: dict[str, Any]
    scales: dict[Literal["smoke", "quick", "paper"], ScaleChanges] = Field(default_factory=dict)
    nets: Annotated[dict[Name, Net], Field(min_length=1)]
    main: Name
    widths: Widths
    digits: DigitNet
    choices: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> "ScratchFile":
        if self.main not in self.nets:
            raise ValueError(f"main: unknown net {self.main!r}; allowed: {', '.join(self.nets)}")
        for name in self.nets:
            if name in ("digits", "constant") or name.startswith("width-"):
                raise ValueError(f"nets: {name!r} is taken, like digits, constant and width-…; other names are allowed")
        of_scales = {f"scales.{scale}.widths": changes.widths for scale, changes in self.scales.items()}
        for key, widths in {"widths": self.widths, **of_scales}.items():
            if widths and len(set(widths)) < len(widths):
                raise ValueError(f"{key}: {widths} names a width twice; each once is allowed")
        return self

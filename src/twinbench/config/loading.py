"""Read and check the configuration: a mistake is one line that names file, key and what is allowed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twinbench.config.expansion import expand_sweeps
from twinbench.config.models import Config, StudyFile
from twinbench.config.reading import ConfigError, merge, overridden, read_yaml, validate
from twinbench.config.scratch import ACTIVATION_LABELS, DiscProtocol, Net, PlainTraining, ScratchFile
from twinbench.config.studies import Study, study_at_scale
from twinbench.figures.catalog import figures

SCALES = ("smoke", "quick", "paper")


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
    return validate(Config, raw, file)


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
    study = validate(StudyFile, read_yaml(path), file)
    for figure in study.figures:
        if figure not in figures():
            raise ConfigError(f"{file}: figures: unknown figure {figure!r}; allowed: {', '.join(sorted(figures()))}")
        if study.figures.count(figure) > 1:
            raise ConfigError(f"{file}: figures: {figure!r} is named twice; each figure once is allowed")
    # All scales are checked, whichever runs: a mistake is not to wait for the long run.
    return {each: _at_scale(path.stem, study, each, file) for each in SCALES}[scale]


def _at_scale(name: str, file: StudyFile, scale: str, path: str) -> Study:
    study = study_at_scale(name, file, scale, path)
    return replace(study, sweeps=expand_sweeps(study, scale, path))


def load_scratch(config: Config, path: Path = Path("config/scratch.yaml")) -> Scratch:
    """Load the from-scratch study at the configuration's scale.

    Raises:
        ConfigError: one line that names file and key.
    """
    file = path.as_posix()
    scratch = validate(ScratchFile, read_yaml(path), file)
    study = path.parent / "studies" / f"{scratch.digits.study}.yaml"
    if not study.exists():
        available = ", ".join(sorted(other.stem for other in study.parent.glob("*.yaml")))
        raise ConfigError(f"{file}: digits.study: unknown study {scratch.digits.study!r}; allowed: {available}")
    # All scales are checked, whichever runs: a mistake is not to wait for the long run.
    return {each: _scratch_at_scale(scratch, each, file, study) for each in SCALES}[config.scale]


def _scratch_at_scale(scratch: ScratchFile, scale: str, file: str, study: Path) -> Scratch:
    changes = scratch.scales.get(scale)
    override = changes.model_dump(exclude_unset=True) if changes else {}
    protocol = overridden(DiscProtocol, scratch.protocol, override, "protocol", file, "protocol", scale)
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
        own = merge(scratch.training, net.training)
        trainings[name] = overridden(PlainTraining, own, override, "training", file, at, scale)
    pairs = load_study(study, scale).protocol.pairs
    return Scratch(scratch, protocol, nets, trainings, pairs.model_dump())

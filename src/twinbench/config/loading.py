"""Load the configuration; a mistake raises ConfigError: one line that names file, key and what is allowed."""

from pathlib import Path
from typing import Any, get_args

from twinbench.config.models import Config, StudyFile
from twinbench.config.reading import Reader, read_yaml
from twinbench.config.resolve import study_at_scale
from twinbench.config.sweeps import Expansion
from twinbench.data.dataset import datasets
from twinbench.spec.fields import Scale
from twinbench.spec.study import Study

FILE = "config/config.yaml"


def load_config(raw: dict[str, Any]) -> Config:
    """Check the workflow's configuration."""
    reader = Reader(FILE)
    if "scratch" in raw:
        reader.refuse("scratch", "is now a study: name disc under studies, or leave it out")
    return reader.validate(Config, raw)


def load_studies(config: Config, folder: Path = Path("config/studies")) -> dict[str, Study]:
    """Load the configured studies at the scale; if sweeps are on, the sweeps of a study follow it."""
    available, reader = sorted(path.stem for path in folder.glob("*.yaml")), Reader(FILE)
    if (old := folder.parent / "scratch.yaml").exists():
        Reader(old.as_posix()).refuse("the file", f"is now {folder.as_posix()}/disc.yaml, a study like any other")
    found = {}
    for name in config.studies:
        if name not in available:
            reader.refuse("studies", f"unknown study {name!r}; allowed: {', '.join(available)}")
        if config.studies.count(name) > 1:
            reader.refuse("studies", f"{name!r} is named twice; each study once is allowed")
        study, *sweeps = load_study(folder / f"{name}.yaml", config)
        found |= {study.name: study} | ({sweep.name: sweep for sweep in sweeps} if config.with_sweeps else {})
    return found


def load_study(path: Path, config: Config) -> list[Study]:
    """Load one study file: the study at the configuration's scale, then its sweeps."""
    name, dataset = path.stem, datasets()[config.data.dataset]
    content = Reader(path.as_posix()).validate(StudyFile, read_yaml(path))
    if content.task == "pairs" and content.dataset not in (None, dataset.name):
        Reader(FILE).refuse("data.dataset", f"{dataset.name} is not what {name} is about; allowed: {content.dataset}, "
                                            "or studies without a dataset of their own")  # fmt: skip
    reader = Reader(path.as_posix(), dataset if content.task == "pairs" else None)
    found = {}
    for scale in get_args(Scale):  # all of them, whichever runs: a mistake must show before the long run
        study = study_at_scale(reader, name, content, config, scale)
        sweeps = [Expansion(reader, study, content, sweep, scale).expand() for sweep in content.sweeps]
        found[scale] = [study, *sweeps]
    return found[config.scale]


def present(studies: dict[str, Study], folder: str, predictions: str) -> tuple[dict[str, Study], list[dict[str, str]]]:
    """Return the studies of a partial report, and the cells that it lacks.

    Args:
        studies: all of them, by name.
        folder, predictions: path patterns (`Study.without_missing`). A study or sweep without any cell is left out,
            and so is a sweep whose study is left out.
    """
    left = {name: study.without_missing(folder, predictions) for name, study in studies.items()}
    kept = {n: s for n, s in left.items() if s.models and (not s.swept or left[s.swept.parent].models)}
    return kept, [cell for study in left.values() for cell in study.missing]

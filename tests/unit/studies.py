"""Studies for the tests: those of files, as planning loads them, and made-up ones."""

from pathlib import Path

import yaml

from tests.conftest import ROOT
from twinbench.config.loading import load_config, load_study
from twinbench.config.models import Config
from twinbench.figures.catalog import check_figures
from twinbench.spec.study import Study

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
STUDIES = ROOT / "config/studies"
SCALES = ["smoke", "quick", "paper"]


def config(**changes: object) -> Config:
    """The shipped configuration, at paper scale unless the changes say otherwise."""
    return load_config(CONFIG | {"scale": "paper"} | changes)


def load_all(file: Path, scale: str = "paper", **changes: object) -> dict[str, Study]:
    """The study of a file and its sweeps, by name; mistakes are raised as planning raises them."""
    studies = load_study(file, config(scale=scale, **changes))
    check_figures(studies)
    return {study.name: study for study in studies}


def load(file: Path, scale: str = "paper", **changes: object) -> Study:
    """The study of a file, without its sweeps."""
    return next(iter(load_all(file, scale, **changes).values()))


def shipped(name: str, scale: str = "paper", **changes: object) -> dict[str, Study]:
    """A study of the project and its sweeps, by name."""
    return load_all(STUDIES / f"{name}.yaml", scale, **changes)


def model(label: str = "M", trained: tuple[str, ...] = ("target",), **changes: object) -> dict:
    """Return the entry of a made-up study for a model that trains these heads and decides by the first."""
    training = {"epochs": 1, "batch_size": 10, "optimizer": {"name": "sgd", "lr": 0.1}}
    return {
        "label": label, "architecture": "twin-lenet", "objective": dict.fromkeys(trained, 1.0), "decision": trained[0],
        "training": training,
    } | changes  # fmt: skip


def made_up(models: dict[str, dict], protocol: dict | None = None, **changes: object) -> Study:
    """A study ``s`` of these models."""
    whole = {"pairs": {"train": 800, "validation": 100, "test": 500}, "rounds": 5} | (protocol or {})
    source = {"report": 1, "authors": "A", "title": "T", "table": "1"}
    return Study(**{
        "name": "s", "title": "S", "source": source, "figures": [], "protocol": whole, "models": models, "seed": 1,
        "rounds_per_job": 8, "reduced": {},
    } | changes)  # fmt: skip

"""Options that do not fit are refused at planning, in one line; the page of the configuration explains every key."""

import re

import pytest
import yaml

from tests.conftest import ROOT, put
from tests.unit.studies import STUDIES, load
from twinbench.config.models import AsRun, ModelFile, StudyFile, Sweep
from twinbench.files import ConfigError
from twinbench.spec.model import Protocol, PublishedValue
from twinbench.spec.objectives import Objective, Phase
from twinbench.spec.training import Training

WITHOUT = "there are no validation pairs; allowed with folds or pairs.validation"
FRAMEWORK = ("our own framework has neither training mode nor chained folds; allowed without chain, passes, "
             "evaluation_mode_from and tested_in_training_mode")  # fmt: skip
TWIN_LENET = [  # without folds and without validation pairs
    ("training.chain", {"reset": []}, "training.chain: there are no folds to chain; allowed with protocol.folds"),
    ("models.plain.training", {"chain": {"reset": ["optimizer"]}}, "models.plain.training.chain: there are no folds"),
    ("training.passes", ["validation"], f"training.passes: {WITHOUT}"),
    ("training.tested_in_training_mode", ["validation"], f"training.tested_in_training_mode: {WITHOUT}"),
    ("training.passes", ["test"], "training.passes: test pairs would have a part in the training; allowed in as_run sections only"),
    ("training.passes", ["train"], "training.passes.0: input should be 'validation' or 'test', not 'train'"),
    ("training.evaluation_mode_from", 26, "training.evaluation_mode_from: 2 epochs (smoke) end before it begins; allowed: 2 to 2"),
    ("training.evaluation_mode_from", 1, "training.evaluation_mode_from: input should be greater than or equal to 2, not 1"),
    ("training.early_stopping", {"patience": 3, "restore": "never"}, "training.early_stopping.restore: input should be 'always' or 'stopped', not 'never'"),
    ("training.early_stopping", {"patience": 3, "restore": "stopped"}, "training.early_stopping: needs validation pairs"),
    ("training.scaling", "validation", "training.scaling: input should be 'training', 'split' or 'raw', not 'validation'"),
    ("training.branch", "both", "training.branch: input should be 'pair' or 'image', not 'both'"),
    ("training.shuffle", "no", "training.shuffle: input should be a valid boolean, not 'no'"),
    ("training.chain", {"reset": ["Linear", "Dropout"]}, "training.chain.reset.1: input should be 'Linear', 'Conv2d'"),
    ("training.chain", {"resets": []}, "training.chain.resets: unknown key; allowed: reset"),
    ("protocol.curves.splits", ["train", "test", "validation"], f"protocol.curves.splits: {WITHOUT}"),
    ("protocol.curves.folds", "none", "protocol.curves.folds: input should be 'one' or 'all', not 'none'"),
    ("protocol.curves.splits", ["test"], "figures: 'curves' draws curves that protocol.curves.splits does not record: train"),
    ("protocol.validation_from", "test", "protocol.validation_from: there are no validation pairs; test is allowed with pairs.validation"),
    ("protocol", {"pairs": {"train": 1000, "validation": 4500, "test": 1000}, "rounds": 1, "validation_from": "test"},
     "protocol.pairs.test + pairs.validation: 5500 pairs need 11000 distinct digits, MNIST's test part has 10000"),
    ("models.plain.objective", {"target": 1, "digit_images": "left"}, "models.plain.objective.digit_images: the digit head is not trained; allowed with digits above 0"),
    ("models.plain.objective", {"target": 1, "digits": 1, "digit_images": "first"}, "models.plain.objective.digit_images: input should be 'both', 'left' or 'right', not 'first'"),
    ("models.plain.objective", {"phases": [{"share": 0.5, "target": 1}, {"share": 0.5, "target": 1, "digit_images": "left"}]},
     "models.plain.objective.phases.1.digit_images: the digit head is not trained"),
    ("models.plain.reported_fold", "last", "models.plain.reported_fold: there are no folds"),
    ("models.plain.whole_rounds", 1, "models.plain.whole_rounds: the rounds after them train the last fold alone"),
]  # fmt: skip
DISC = [
    ("training.tested_in_training_mode", ["test"], f"training: {FRAMEWORK}"),
    ("training.evaluation_mode_from", 2, f"training: {FRAMEWORK}"),
    ("models.relu.training", {"tested_in_training_mode": ["train"]}, f"models.relu.training: {FRAMEWORK}"),
    ("protocol", {"pairs": {"train": 1000, "test": 1000}, "rounds": 2, "folds": 2, "curves": {"splits": ["train", "test"]}}, f"training: {FRAMEWORK}"),
]  # fmt: skip


def refused(tmp_path, name, path, value):
    raw = put(yaml.safe_load((STUDIES / f"{name}.yaml").read_text(encoding="utf-8")), path, value)
    if name == "disc" and path == "protocol":
        raw = put(put(raw, "sweeps", {}), "training.chain", {"reset": []})
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{file.as_posix()}: ")


@pytest.mark.parametrize(
    ("path", "value", "expected"), TWIN_LENET, ids=[f"{path}={str(value)[:40]}" for path, value, _ in TWIN_LENET]
)
def test_an_option_that_does_not_fit_is_refused(tmp_path, path, value, expected):
    assert refused(tmp_path, "twin-lenet", path, value).startswith(expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"), DISC, ids=[f"{path}={str(value)[:40]}" for path, value, _ in DISC]
)
def test_options_of_modes_and_folds_are_not_for_the_framework_of_our_own(tmp_path, path, value, expected):
    assert refused(tmp_path, "disc", path, value).startswith(expected)


def keys() -> dict[str, type]:
    """Every key of a study file as its page names it."""
    prefixes = {"": StudyFile, "protocol.": Protocol, "training.": Training}
    named = {f"{prefix}{field}": model for prefix, model in prefixes.items() for field in model.model_fields}
    objective = {f"objective.{field}": Objective for field in Objective.model_fields.keys() - {"target", "digits"}}
    alone = [ModelFile, AsRun, Sweep, Phase, PublishedValue]
    return named | objective | {field: model for model in alone for field in model.model_fields}


@pytest.mark.parametrize("key", sorted(keys()))
def test_the_page_explains_every_key(key):
    page = (ROOT / "config/README.md").read_text(encoding="utf-8")
    tables = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    assert re.search(rf"`({re.escape(key)})[`.]", tables), f"config/README.md says nothing of {key}"

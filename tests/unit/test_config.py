import copy
import json
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from twinbench.config.loading import ConfigError, load_config, load_studies, load_study
from twinbench.config.models import schemas
from twinbench.planning import Plan, parse_rounds

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
STUDY = yaml.safe_load((ROOT / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8"))


def put(tree: dict, path: str, value: object) -> dict:
    """Return a copy of ``tree`` with ``value`` at a dotted path; None removes the key."""
    changed = copy.deepcopy(tree)
    *parents, last = path.split(".")
    node = changed
    for key in parents:
        node = node.setdefault(key, {})
    if value is None:
        del node[last]
    else:
        node[last] = value
    return changed


def study_with(tmp_path, path, value):
    file = tmp_path / "siamese-resnets.yaml"
    file.write_text(yaml.safe_dump(put(STUDY, path, value)), encoding="utf-8")
    return file


@pytest.mark.parametrize("path", sorted((ROOT / "config/studies").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", ["smoke", "quick", "paper"])
def test_shipped_studies_are_valid_at_every_scale(path, scale):
    study = load_study(path, scale)
    assert set(study.trainings) == set(study.file.models)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("scal", "quick", "scal: unknown key; allowed: scale, studies, seed, rounds_per_job, data"),
        ("scale", "fast", "scale: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
        ("scale", None, "scale: missing"),
        ("seed", "one", "seed: input should be a valid integer, not 'one'"),
        ("seed", True, "seed: input should be a valid integer, not True"),
        ("rounds_per_job", 0, "rounds_per_job: input should be greater than or equal to 1, not 0"),
        ("studies", [], "studies: list should have at least 1 item after validation, not 0, not []"),
        ("data.sauce", "shipped", "data.sauce: unknown key; allowed: source"),
    ],
)
def test_config_mistakes_name_file_key_and_what_is_allowed(path, value, expected):
    with pytest.raises(ConfigError) as error:
        load_config(put(CONFIG, path, value))
    assert str(error.value) == f"config/config.yaml: {expected}"


def test_unknown_study_lists_those_that_exist():
    config = load_config(put(CONFIG, "studies", ["twin-lenet", "twin-alexnet"]))
    with pytest.raises(
        ConfigError, match=r"^config/config.yaml: studies: unknown study 'twin-alexnet'; allowed: .*twin-lenet"
    ):
        load_studies(config, ROOT / "config/studies")


MISTAKES = [
    ("protocol.rounds", 0, "protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("protocol.round", 3, "protocol.round: unknown key; allowed: pairs, rounds, folds"),
    ("protocol.folds", 7, "protocol.folds: 7 folds do not divide the 1000 training pairs; a divisor of pairs.train is allowed"),
    ("protocol.folds", 1, "protocol.folds: input should be greater than or equal to 2, not 1"),
    ("protocol.pairs.train", 40_000, "protocol.pairs.train + pairs.validation: 40000 pairs need 80000 distinct digits, MNIST has 60000; at most 30000 pairs are allowed"),
    ("protocol.pairs.test", 5001, "protocol.pairs.test: 5001 pairs need 10002 distinct digits, MNIST's test part has 10000; at most 5000 are allowed"),
    ("protocol.pairs.tset", 5, "protocol.pairs.tset: unknown key; allowed: train, validation, test"),
    ("protocol.pairs.validation", 100, "protocol.folds: cross-validation makes its own validation pairs; pairs.validation must be 0 with folds"),
    ("training.epochs", "many", "training.epochs: input should be a valid integer, not 'many'"),
    ("training.optimizer.name", "lion", "training.optimizer.name: input should be 'adam' or 'sgd', not 'lion'"),
    ("training.optimizer.lr", -1, "training.optimizer.lr: input should be greater than 0, not -1"),
    ("training.optimizer.beta", 1, "training.optimizer.beta: unknown key; allowed: name, lr, momentum"),
    ("scales.quick.protocol.rounds", 0, "scales.quick.protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("scales.quick.training", {"epoch": 3}, "scales.quick.training.epoch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping"),
    ("scales.fast", {}, "scales.fast: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
    ("models.mlp.architecture", "mlp", "models.mlp.architecture: unknown 'mlp'; allowed: convnet-selu, mlp-selu"),
    ("models.mlp.options", {"width": 3}, "models.mlp.options.width: unknown key; allowed: none"),
    ("models.mlp.objective", {"digits": 1}, "models.mlp.objective.digits: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.objective", {"target": 0}, "models.mlp.objective.one of target and digits must be above 0"),
    ("models.mlp.decision", "digits", "models.mlp.decision: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.accelerator", "tpu", "models.mlp.accelerator: input should be 'cpu' or 'gpu', not 'tpu'"),
    ("models.mlp.training", {"batch": 2}, "models.mlp.training.batch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping"),
    ("models.mlp.published.values", [{"metric": "accuracy"}], "models.mlp.published.values.0.value: missing"),
    ("models.mlp.published.values", [{"metric": "f1", "value": 1}], "models.mlp.published.values.0.metric: input should be 'accuracy', 'error'"),
    ("models.MLP", STUDY["models"]["mlp"], "models.MLP: string should match pattern"),
    ("models.constant", STUDY["models"]["mlp"], "models.constant: every study has this baseline already"),
    ("figures", ["curves", "pie"], "figures: unknown figure 'pie'; allowed: curves, folds, rounds"),
    ("title", None, "title: missing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "expected"), MISTAKES, ids=[f"{path}={str(v)[:20]}" for path, v, _ in MISTAKES]
)
def test_study_mistakes_name_file_key_and_what_is_allowed(tmp_path, path, value, expected):
    file = study_with(tmp_path, path, value)
    with pytest.raises(ConfigError) as error:
        load_study(file, "quick")
    message = str(error.value)
    assert message.startswith(f"{file.as_posix()}: {expected}")
    assert "\n" not in message


def test_options_are_checked_against_the_architecture(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/twin-lenet.yaml").read_text(encoding="utf-8"))
    for options, expected in [
        ({"sharde": True}, "models.plain.options.sharde: unknown key; allowed: shared"),
        ({"shared": "yes"}, "models.plain.options.shared: input should be a valid boolean, not 'yes'"),
    ]:
        file = tmp_path / "s.yaml"
        file.write_text(yaml.safe_dump(put(raw, "models.plain.options", options)), encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            load_study(file, "paper")
        assert str(error.value) == f"{file.as_posix()}: {expected}"


def test_early_stopping_needs_validation_pairs(tmp_path):
    file = study_with(tmp_path, "protocol.folds", None)
    with pytest.raises(ConfigError, match="training.early_stopping: needs validation pairs"):
        load_study(file, "paper")


def test_the_folds_figure_needs_folds(tmp_path):
    raw = put(put(STUDY, "protocol.folds", None), "training.early_stopping", None)
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ConfigError, match="figures: 'folds' needs protocol.folds"):
        load_study(file, "paper")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"title: [", "line 1: not valid YAML"),
        (b"\xff\xfe", "not valid YAML in UTF-8"),
        (b"- 1", "must hold keys and values"),
    ],
)
def test_unreadable_study_files(tmp_path, content, expected):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        load_study(file, "quick")


def test_a_scale_changes_what_it_says_and_nothing_else():
    quick, paper = (load_study(ROOT / "config/studies/siamese-resnets.yaml", scale) for scale in ("quick", "paper"))
    assert quick.protocol.model_dump() | {"rounds": 8} == paper.protocol.model_dump()
    assert quick.trainings == paper.trainings


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(STUDY).replace("lr: 0.001", "lr: 1e-3"), encoding="utf-8")
    assert load_study(file, "paper").trainings["mlp"].optimizer.lr == 1e-3


def test_schemas_are_up_to_date():
    for kind, schema in schemas().items():
        written = json.loads((ROOT / f"workflow/schemas/{kind}.schema.json").read_text(encoding="utf-8"))
        assert written == schema, "run make schemas"


def test_more_rounds_only_add_blocks():
    def blocks(rounds, size=8):
        config = load_config(CONFIG | {"rounds_per_job": size, "studies": ["twin-lenet"], "scale": "paper"})
        study = load_study(ROOT / "config/studies/twin-lenet.yaml", "paper")
        protocol = study.protocol.model_copy(update={"rounds": rounds})
        changed = type(study)(study.name, study.file, protocol, study.trainings)
        return Plan(config, {"twin-lenet": changed}).blocks("twin-lenet")

    assert blocks(16) == ["0-7", "8-15"]
    assert blocks(32)[:2] == blocks(16)
    assert blocks(10) == ["0-7", "8-9"]
    assert blocks(3) == ["0-2"]
    assert [round_ for block in blocks(19, 5) for round_ in parse_rounds(block)] == list(range(19))


def test_planning_imports_neither_torch_nor_pandas():
    code = "import sys, twinbench.planning, twinbench.fingerprint; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "set()"

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, put
from tests.unit.studies import CONFIG, SCALES, STUDIES, config, load, load_all, shipped
from twinbench.architectures.catalog import architectures
from twinbench.config.checks import check_data, check_pretrained, check_writable
from twinbench.config.loading import load_config, load_studies, present
from twinbench.config.models import Pretrained, schemas
from twinbench.data.dataset import datasets
from twinbench.files import ConfigError
from twinbench.spec.rounds import parse_rounds
from twinbench.spec.study import Study

MNIST = datasets()["mnist"]
STUDY = yaml.safe_load((STUDIES / "siamese-resnets.yaml").read_text(encoding="utf-8"))
ONE_MODEL = put(put(STUDY, "models", {"convnet-both": STUDY["models"]["convnet-both"]}), "as_run", None)
EVERY_STUDY = pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)


def study_with(tmp_path, path, value):
    file = tmp_path / "siamese-resnets.yaml"
    file.write_text(yaml.safe_dump(put(STUDY, path, value)), encoding="utf-8")
    return file


@EVERY_STUDY
@pytest.mark.parametrize("scale", SCALES)
def test_shipped_studies_are_valid_at_every_scale(path, scale):
    study = load(path, scale)
    models = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    rows = [[name, f"{name}-as-run"] if "as_run" in entry else [name] for name, entry in models.items()]
    assert list(study.models) == [name for of_entry in rows for name in of_entry]


@EVERY_STUDY
@pytest.mark.parametrize("scale", SCALES)
def test_a_study_survives_the_way_to_a_job(path, scale):
    """Snakemake hands a study to a script as plain values; all but the file's path, which messages name, arrives."""
    for study in load_all(path, scale).values():
        dumped = study.model_dump()
        assert Study(**dumped) == study.model_copy(update={"file": ""})
        assert Study(**json.loads(json.dumps(dumped))) == Study(**dumped), "what is dumped is plain"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "scal",
            "quick",
            "scal: unknown key; allowed: scale, studies, seed, rounds_per_job, data, pretrained, partial, sweeps",
        ),
        ("scale", "fast", "scale: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
        ("scale", None, "scale: missing"),
        ("seed", "one", "seed: input should be a valid integer, not 'one'"),
        ("seed", True, "seed: input should be a valid integer, not True"),
        ("rounds_per_job", 0, "rounds_per_job: input should be greater than or equal to 1, not 0"),
        ("studies", [], "studies: list should have at least 1 item after validation, not 0, not []"),
        ("data.sauce", "shipped", "data.sauce: unknown key; allowed: dataset, source"),
        ("pretrained.resnet", "random", "pretrained.resnet: unknown key; allowed: resnet18"),
        ("pretrained.resnet18", 18, "pretrained.resnet18: input should be a valid string, not 18"),
        ("data.dataset", "emnist", "data.dataset: unknown 'emnist'; allowed: fashion-mnist, kmnist, mnist"),
        ("data.dataset", 3, "data.dataset: input should be a valid string, not 3"),
        ("scratch", True, "scratch: is now a study: name disc under studies, or leave it out"),
        ("scratch", False, "scratch: is now a study: name disc under studies, or leave it out"),
    ],
)
def test_config_mistakes_name_file_key_and_what_is_allowed(path, value, expected):
    with pytest.raises(ConfigError) as error:
        load_config(put(CONFIG, path, value))
    assert str(error.value) == f"config/config.yaml: {expected}"


def test_unknown_study_lists_those_that_exist():
    named = config(studies=["twin-lenet", "twin-alexnet"])
    with pytest.raises(
        ConfigError, match=r"^config/config.yaml: studies: unknown study 'twin-alexnet'; allowed: .*twin-lenet"
    ):
        load_studies(named, STUDIES)


def test_a_left_over_scratch_file_is_named(tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    (tmp_path / "scratch.yaml").touch()
    with pytest.raises(ConfigError) as error:
        load_studies(config(studies=["disc"]), folder)
    old = (tmp_path / "scratch.yaml").as_posix()
    assert str(error.value) == f"{old}: the file: is now {folder.as_posix()}/disc.yaml, a study like any other"


def test_a_study_of_another_data_set_is_refused():
    with pytest.raises(ConfigError) as error:
        load_studies(config(studies=["twin-lenet"], data={"dataset": "kmnist"}), STUDIES)
    assert str(error.value) == (
        "config/config.yaml: data.dataset: kmnist is not what twin-lenet is about; "
        "allowed: mnist, or studies without a dataset of their own"
    )
    assert load_studies(config(studies=["disc"], data={"dataset": "kmnist"}), STUDIES), "the disc draws no images"


def test_a_study_without_a_data_set_of_its_own_takes_any(tmp_path):
    file = study_with(tmp_path, "dataset", None)
    assert load(file, data={"dataset": "kmnist", "source": "download"}) == load(file)
    file = study_with(tmp_path, "protocol.pairs.test", 5001)
    file.write_text(file.read_text().replace("dataset: mnist", "dataset: kmnist"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"protocol.pairs.test: .*, Kuzushiji-MNIST's test part has 10000"):
        load(file, data={"dataset": "kmnist"})


def test_sweeps_follow_their_study_where_they_are_on():
    names = ["twin-lenet", "disc"]
    assert list(load_studies(config(studies=names, sweeps=False), STUDIES)) == names
    found = load_studies(config(studies=names), STUDIES)
    assert list(found) == [*shipped("twin-lenet"), *shipped("disc")]
    assert [name for name, study in found.items() if not study.swept] == names


MISTAKES = [
    ("protocol.rounds", 0, "protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("protocol.round", 3, "protocol.round: unknown key; allowed: pairs, rounds, folds, fixed_data, validation_from, curves"),
    ("protocol.folds", 7, "protocol.folds: 7 folds do not divide the 1000 training pairs; a divisor of pairs.train is allowed"),
    ("protocol.folds", 1, "protocol.folds: input should be greater than or equal to 2, not 1"),
    ("protocol.pairs.train", 40_000, "protocol.pairs.train + pairs.validation: 40000 pairs need 80000 distinct digits, MNIST's train part has 60000; at most 30000 pairs are allowed"),
    ("protocol.pairs.test", 5001, "protocol.pairs.test: 5001 pairs need 10002 distinct digits, MNIST's test part has 10000; at most 5000 pairs are allowed"),
    ("protocol.pairs.tset", 5, "protocol.pairs.tset: unknown key; allowed: train, validation, test"),
    ("protocol.pairs.validation", 100, "protocol.folds: cross-validation makes its own validation pairs; pairs.validation must be 0 with folds"),
    ("training.epochs", "many", "training.epochs: input should be a valid integer, not 'many'"),
    ("training.optimizer.name", "lion", "training.optimizer.name: input should be 'adam' or 'sgd', not 'lion'"),
    ("training.optimizer.lr", -1, "training.optimizer.lr: input should be greater than 0, not -1"),
    ("training.optimizer.beta", 1, "training.optimizer.beta: unknown key; allowed: name, lr, momentum, decay"),
    ("scales.quick.protocol.rounds", 0, "scales.quick.protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("scales.quick.training", {"epoch": 3}, "scales.quick.training.epoch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping, scaling"),
    ("scales.fast", {}, "scales.fast: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
    ("models.mlp.architecture", "mlp", "models.mlp.architecture: unknown 'mlp'; allowed: "),
    ("models.mlp.options", {"width": 3}, "models.mlp.options.width: unknown key; allowed: none"),
    ("models.mlp.objective", {"digits": 1}, "models.mlp.objective.digits: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.objective", {"target": 0}, "models.mlp.objective: no head is trained; allowed: target, digits or both above 0"),
    ("models.mlp.decision", "digits", "models.mlp.decision: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.accelerator", "tpu", "models.mlp.accelerator: input should be 'cpu' or 'gpu', not 'tpu'"),
    ("models.mlp.training", {"batch": 2}, "models.mlp.training.batch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping, scaling"),
    ("models.mlp.published.values", [{"metric": "accuracy"}], "models.mlp.published.values.0.value: missing"),
    ("models.mlp.published.values", [{"metric": "f1", "value": 1}], "models.mlp.published.values.0.metric: input should be 'accuracy', 'error'"),
    ("models.MLP", STUDY["models"]["mlp"], "models.MLP: string should match pattern"),
    ("models.constant", STUDY["models"]["mlp"], "models.constant: every study has this baseline already"),
    ("figures", ["curves", "pie"], "figures: unknown figure 'pie'; allowed: curves, digit_pairs, folds, hardest, loss_parts, rounds, together"),
    ("title", None, "title: missing"),
    ("figures", ["curves", "curves"], "figures: 'curves' is named twice"),
    ("training.optimizer.momentum", 0.9, "training.optimizer.momentum: adam has none; allowed with sgd"),
    ("training.batch_size", 437, "training.batch_size: 437 leaves a last batch of 1 of 875 training pairs"),
    ("training.optimizer.decay", 1.5, "training.optimizer.decay: input should be less than or equal to 1, not 1.5"),
    ("models.mlp.published.values", [{"metric": "accuracy", "value": 77.4}], "models.mlp.published.values.0.value: 77.4 is no accuracy; a fraction of 1 is allowed"),
    ("models.mlp.published.values", [{"metric": "accuracy", "value": "high"}], "models.mlp.published.values.0.value: input should be a valid number"),
    ("models.mlp.published", {"parameters": "many"}, "models.mlp.published.parameters: input should be a valid integer, not 'many'"),
    ("models.mlp.published", ["0.774"], "models.mlp.published: input should be a valid dictionary"),
    ("models.mlp.rounds", 0, "models.mlp.rounds: input should be greater than or equal to 1, not 0"),
    ("models.mlp.objective", {"target": "much"}, "models.mlp.objective.target.start: input should be a valid number"),
    ("models.mlp.objective", {"target": {"start": 1}}, "models.mlp.objective.target.end: missing"),
    ("models.mlp.objective", {"target": {"start": 0, "end": 1}}, "training.early_stopping: models.mlp.objective changes from epoch to epoch"),
    ("models.mlp.objective", {"phases": [{"share": 0.5, "target": 1}, {"share": 0.4, "target": 1}]}, "models.mlp.objective.phases: the shares must add up to 1"),
    ("models.mlp.objective", {"phases": [{"share": 0.5, "target": 1}, {"share": 0.5}]}, "models.mlp.objective.phases.1: no head is trained"),
    ("models.mlp.objective", {"target": 1, "phases": [{"share": 0.5, "target": 1}, {"share": 0.5, "target": 1}]}, "models.mlp.objective.phases: each phase has its own weights"),
    ("models.mlp.objective", {"phases": [{"share": 0.5, "target": 1}, {"share": 0.5, "target": 1, "train": ["head"]}]}, "models.mlp.objective.phases.1.train: mlp-selu has no part 'head'; allowed: layers"),
    ("parameter_budget", 50_000, "models.convnet.published.parameters: 57854 is over the budget; at most 50000 (parameter_budget) are allowed"),
    ("models.mlp.scales", {"quick": {"training": {"epoch": 3}}}, "models.mlp.scales.quick.training.epoch: unknown key"),
    ("figures", ["loss_parts"], "figures: "),
    ("scales.paper", {"protocol": {"rounds": 0}}, "scales.paper.protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("datasets", "mnist", "datasets: unknown key; allowed: title, about, source, task, parameter_budget, figures, choices, dataset, protocol, training, as_run, scales, models, rounds_per_job, sweeps"),
    ("dataset", "mnsit", "dataset: unknown 'mnsit'; allowed: fashion-mnist, kmnist, mnist"),
    ("task", "digits", "task: input should be 'pairs' or 'disc', not 'digits'"),
    ("training.scaling", "none", "training.scaling: input should be 'training', 'split' or 'raw', not 'none'"),
    ("models.mlp.architecture", "scratch-disc", "models.mlp.architecture: scratch-disc is for the task disc, this study's is pairs; an architecture of that task is allowed"),
    ("models.mlp.architecture", "scratch-pairs", "training.optimizer: scratch-pairs trains by its framework's own gradient descent; allowed: sgd without momentum"),
    ("task", "disc", "models.conv-resnet.architecture: conv-resnet-selu is for the task pairs, this study's is disc; an architecture of that task is allowed"),
    ("figures", ["disc_points"], "figures: unknown figure 'disc_points'; allowed: curves, digit_pairs, folds, hardest, loss_parts, rounds, together"),
    ("figures", ["sweep_line"], "figures: unknown figure 'sweep_line'; allowed: curves, digit_pairs, folds, hardest, loss_parts, rounds, together"),
    ("figures", ["loss_parts"], "figures: 'loss_parts' needs a model whose objective changes from epoch to epoch"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "expected"), MISTAKES, ids=[f"{path}={str(v)[:20]}" for path, v, _ in MISTAKES]
)
def test_study_mistakes_name_file_key_and_what_is_allowed(tmp_path, path, value, expected):
    file = study_with(tmp_path, path, value)
    with pytest.raises(ConfigError) as error:
        load(file, "quick")
    message = str(error.value)
    assert message.startswith(f"{file.as_posix()}: {expected}")
    assert "\n" not in message


OF_THE_FRAMEWORK = [
    ("training.optimizer.name", "adam", "training.optimizer: scratch-disc trains by its framework's own gradient descent; allowed: sgd without momentum"),
    ("training.optimizer.momentum", 0.9, "training.optimizer: scratch-disc trains by its framework's own gradient descent; allowed: sgd without momentum"),
    ("models.tanh-raw.training.optimizer", {"name": "adam"}, "models.tanh-raw.training.optimizer: scratch-disc trains by its framework's own gradient descent; allowed: sgd without momentum"),
    ("models.relu.accelerator", "gpu", "models.relu.accelerator: scratch-disc runs on a processor; allowed: cpu"),
    ("models.relu.architecture", "mlp-selu", "models.relu.architecture: mlp-selu is for the task pairs, this study's is disc; an architecture of that task is allowed"),
    ("models.relu.options", {"activation": "gelu"}, "models.relu.options.activation: input should be 'relu' or 'tanh', not 'gelu'"),
    ("models.relu.objective", {"digits": 1}, "models.relu.objective.digits: scratch-disc has no digits head; allowed: target"),
    ("figures", ["digit_pairs"], "figures: unknown figure 'digit_pairs'; allowed: curves, disc_"),
    ("sweeps.width.training", {"optimizer": {"name": "adam"}}, "sweeps.width.axes.training.optimizer: scratch-disc trains by its framework's own gradient descent; allowed: sgd without momentum"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "expected"), OF_THE_FRAMEWORK, ids=[f"{path}={str(v)[:20]}" for path, v, _ in OF_THE_FRAMEWORK]
)
def test_mistakes_in_the_study_of_the_framework(tmp_path, path, value, expected):
    raw = yaml.safe_load((STUDIES / "disc.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "disc.yaml"
    file.write_text(yaml.safe_dump(put(raw, path, value), sort_keys=False), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(f"{file.as_posix()}: {expected}")
    assert "\n" not in str(error.value)


def test_a_misspelt_key_is_named_rather_than_the_missing_one():
    with pytest.raises(
        ConfigError, match=r"^config/config.yaml: sead: unknown key; allowed: scale, .* \(and 1 more\)$"
    ):
        load_config(put(put(CONFIG, "seed", None), "sead", 3))


def test_an_untrained_head_cannot_decide(tmp_path):
    raw = yaml.safe_load((STUDIES / "twin-lenet.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(put(raw, "models.plain.objective", {"digits": 1})), encoding="utf-8")
    with pytest.raises(ConfigError, match="models.plain.decision: the target head is not trained; allowed: digits"):
        load(file, "paper")


def test_a_key_named_twice_is_refused(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("title: a\ntitle: b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2: not valid YAML: key 'title' is named twice"):
        load(file, "quick")


def test_options_are_checked_against_the_architecture(tmp_path):
    raw = yaml.safe_load((STUDIES / "twin-lenet.yaml").read_text(encoding="utf-8"))
    for options, expected in [
        ({"sharde": True}, "models.plain.options.sharde: unknown key; allowed: shared, activation, dropout"),
        ({"shared": "yes"}, "models.plain.options.shared: input should be a valid boolean, not 'yes'"),
    ]:
        file = tmp_path / "s.yaml"
        file.write_text(yaml.safe_dump(put(raw, "models.plain.options", options)), encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            load(file, "paper")
        assert str(error.value) == f"{file.as_posix()}: {expected}"


def test_early_stopping_needs_validation_pairs(tmp_path):
    without = put(put(ONE_MODEL, "protocol", {"pairs": {"train": 1000, "test": 1000}, "rounds": 1}), "figures", [])
    without = put(without, "scales", {})
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(without), encoding="utf-8")
    with pytest.raises(ConfigError, match="training.early_stopping: needs validation pairs"):
        load(file, "paper")


def test_the_folds_figure_needs_folds(tmp_path):
    raw = put(put(put(ONE_MODEL, "protocol.folds", None), "training.early_stopping", None), "scales", {})
    raw = put(raw, "protocol.curves.splits", ["train", "test"])
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ConfigError, match="figures: 'folds' needs protocol.folds"):
        load(file, "paper")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"title: [", "line 1: not valid YAML"),
        (b"\xff\xfe", "not readable as YAML in UTF-8"),
        (b"- 1", "must hold keys and values"),
    ],
)
def test_unreadable_study_files(tmp_path, content, expected):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        load(file, "quick")


def test_a_scale_changes_what_it_says_and_nothing_else():
    quick, paper = (load(STUDIES / "twin-lenet.yaml", scale) for scale in ("quick", "paper"))
    assert quick.protocol.model_dump() | {"rounds": 32} == paper.protocol.model_dump() != quick.protocol.model_dump()
    assert quick.models == paper.models


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(STUDY).replace("lr: 0.001", "lr: 1e-3"), encoding="utf-8")
    assert load(file, "paper").models["mlp"].training.optimizer.lr == 1e-3


def test_schemas_are_up_to_date():
    for kind, schema in schemas().items():
        written = json.loads((ROOT / f"workflow/schemas/{kind}.schema.json").read_text(encoding="utf-8"))
        assert written == schema, "run make schemas"
    assert {path.name for path in (ROOT / "workflow/schemas").iterdir()} == {
        f"{kind}.schema.json" for kind in schemas()
    }


class EditorLoader(yaml.SafeLoader):
    """Reads YAML 1.2, as editors do: 4e-4 is a number there."""


EditorLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[0-9]+e-?[0-9]+"), list("0123456789"))


@EVERY_STUDY
def test_the_schema_takes_the_shipped_studies(path):
    jsonschema.validate(yaml.load(path.read_text(encoding="utf-8"), EditorLoader), schemas()["study"])


TYPOS = [
    ("protocol.round", 3),
    ("protocol.rounds", "many"),
    ("protocol.pairs.tset", 5),
    ("protocol.pairs.train", 0),
    ("training.epoch", 3),
    ("training.optimizer.beta", 1),
    ("training.optimizer.name", "lion"),
    ("training.early_stopping.patient", 3),
    ("scales.fast", {}),
    ("scales.quick.protocol.round", 1),
    ("scales.quick.training", {"epoch": 3}),
    ("scales.quick.sweeps", {"training": {"batch": 1}}),
    ("scales.quick.sweeps", {"values": 0}),
    ("models.mlp.training", {"optimizer": {"rate": 1}}),
    ("models.mlp.scales", {"quick": {"training": {"epoch": 3}}}),
    ("models.mlp.objective", {"target": {"start": 1}}),
    ("models.mlp.as_run", {"differs": ["x"], "training": {"epoch": 3}}),
    ("sweeps.rate.axis", {}),
    ("sweeps.rate.axes", {}),
    ("sweeps.rate.training", {"batch": 1}),
    ("sweeps.rate.protocol", {"pairs": {"tset": 1}}),
    ("sweeps.rate.metric", "f1"),
]
RATE = {"title": "Rate", "base": "mlp", "metric": "error", "axes": {"training.optimizer.lr": [0.01]}}


@pytest.mark.parametrize(("path", "value"), TYPOS, ids=[f"{path}={value}" for path, value in TYPOS])
def test_the_schema_refuses_the_typos_that_planning_refuses(tmp_path, path, value):
    validator = jsonschema.Draft202012Validator(schemas()["study"])
    right = STUDY | {"sweeps": {"rate": RATE}}
    assert validator.is_valid(right)
    wrong = put(right, path, value)
    assert not validator.is_valid(wrong)
    file = tmp_path / "siamese-resnets.yaml"
    file.write_text(yaml.safe_dump(wrong), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(f"{file.as_posix()}: {'.'.join(path.split('.')[:-1])}")


def test_more_rounds_only_add_blocks():
    def blocks(rounds, size=8):
        study = load(STUDIES / "twin-lenet.yaml", rounds_per_job=size)
        protocol = study.protocol.model_copy(update={"rounds": rounds})
        return study.model_copy(update={"protocol": protocol}).blocks()

    assert blocks(16) == ["0-7", "8-15"]
    assert blocks(32)[:2] == blocks(16)
    assert blocks(10) == ["0-7", "8-9"]
    assert blocks(3) == ["0-2"]
    assert [round_ for block in blocks(19, 5) for round_ in parse_rounds(block)] == list(range(19))


def test_a_partial_report_has_what_is_there(tmp_path):
    studies = load_studies(config(studies=["twin-lenet", "disc"], sweeps=True), STUDIES)
    folder, predictions = (
        f"{tmp_path}/{{study}}/{{model}}/rounds-{{rounds}}",
        f"{tmp_path}/{{study}}.parquet",
    )

    def end(*cells, files=("record.json", "history.parquet", "weights.safetensors")):
        for cell in cells:
            path = Path(folder.format(**cell))
            path.mkdir(parents=True, exist_ok=True)
            for file in files:
                (path / file).touch()

    every = [cell for study in studies.values() for cell in study.cells()]
    assert present(studies, folder, predictions) == ({}, every)
    first, second = studies["twin-lenet"].cells("plain")[:2]
    of_sweep = studies["disc.width"].cells("width-2")
    end(first, second, *of_sweep)
    kept, missing = present(studies, folder, predictions)
    assert list(kept) == ["twin-lenet"], "a sweep needs its study"
    assert missing == [cell for cell in every if cell not in (first, second, *of_sweep)]
    assert list(kept["twin-lenet"].models) == ["plain"]
    assert kept["twin-lenet"].cells() == [first, second]
    assert list(kept["twin-lenet"].labels) == ["plain", "constant"]
    end(studies["disc"].cells("tanh")[0])
    kept, missing = present(studies, folder, predictions)
    assert list(kept) == ["twin-lenet", "disc", "disc.width"]
    assert list(kept["disc.width"].models) == ["width-2"]
    assert len(kept["disc.width"].swept.settings) == 8, "the report says of the others that they are missing"
    for name, study in kept.items():
        assert study.draw(30_000) == studies[name].draw(30_000)
        assert all(study.cell(model) == studies[name].cell(model) for model in study.models)
    end(*every)
    assert present(studies, folder, predictions) == (studies, [])
    for file in Path(tmp_path).rglob("weights.safetensors"):
        file.unlink()
    assert present(studies, folder, predictions) == ({}, every), "no predictions, and no weights to make them of"
    for name in studies:
        Path(predictions.format(study=name)).touch()
    assert present(studies, folder, predictions) == (studies, []), "predictions make up for weights"
    Path(folder.format(**first), "record.json").unlink()
    kept, missing = present(studies, folder, predictions)
    assert "twin-lenet" not in kept, "other cells need other predictions, which need the weights"
    assert missing == studies["twin-lenet"].cells()


def test_a_partial_sweep_over_training_points_redraws_nothing(tmp_path):
    raw = yaml.safe_load((STUDIES / "disc.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "disc.yaml"
    file.write_text(
        yaml.safe_dump(put(raw, "sweeps.width.axes", {"protocol.pairs.train": [50, 200]})), encoding="utf-8"
    )
    sweep = load_all(file)["disc.width"]
    assert sweep.draw(30_000)["counts"] == {"train": 200, "validation": 1000, "test": 1000}
    folder = tmp_path / "train-50-0-7"
    folder.mkdir()
    for name in ("record.json", "history.parquet", "weights.safetensors"):
        (folder / name).touch()
    partial = sweep.without_missing(f"{tmp_path}/{{model}}-{{rounds}}", f"{tmp_path}/none.parquet")
    assert list(partial.models) == ["train-50"]
    assert partial.draw(30_000) == sweep.draw(30_000)


def test_a_model_may_have_fewer_rounds(tmp_path):
    study = load(study_with(tmp_path, "models.mlp.rounds", 3), "paper")
    assert study.blocks("mlp") == ["0-2"]
    assert study.blocks("convnet") == ["0-7"]
    assert len(study.cells("mlp")) == 1
    assert study.trainings("mlp", parse_rounds("0-2")) == 3 * 8


def test_a_scale_may_change_one_model(tmp_path):
    change = {"quick": {"training": {"epochs": 7, "early_stopping": {"patience": 2}}}}
    study = load(study_with(tmp_path, "models.mlp.scales", change), "quick")
    assert study.reduced["models"]["mlp"] == change["quick"]
    training = study.models["mlp"].training
    assert (training.epochs, training.early_stopping.patience) == (7, 2)
    assert training.optimizer.name == "adam"
    assert study.models["convnet"].training.epochs == STUDY["scales"]["quick"]["training"]["epochs"]
    fewer = load(study_with(tmp_path, "models.mlp.scales", {"smoke": {"rounds": 1}}), "smoke")
    assert [fewer.blocks(name) for name in ("mlp", "convnet")] == [["0-0"], ["0-1"]]


def test_the_published_schedule_and_phases_are_read(tmp_path):
    study = load(STUDIES / "transfer.yaml")
    assert study.cell("baseline")["objective"] == {"target": 1.0}
    assert study.models["baseline"].objective.stage(1, 25).weights == {"target": 1.0, "digits": 0.0}
    assert study.cell("auxiliary-loss")["objective"]["digits"] == {"start": 1.0, "end": 0.0}
    assert [phase["train"] for phase in study.cell("transfer-learning")["objective"]["phases"]] == [
        ["convolutions", "dense", "digits"],
        ["comparison"],
    ]
    scoring = study.scoring()
    assert scoring["transfer-learning"]["weights"] == {"target": 1.0, "digits": 0.0}
    assert scoring["auxiliary-loss"]["weights"] == pytest.approx({"target": 0.99, "digits": 0.01})


def test_a_phase_needs_an_epoch_at_every_scale(tmp_path):
    raw = yaml.safe_load((STUDIES / "transfer.yaml").read_text(encoding="utf-8"))
    raw = put(raw, "models.cnn", None)  # as run, it needs two epochs itself
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(put(raw, "scales.smoke.training.epochs", 1)), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"models.transfer-learning.objective.phases.0.share: 0.5 of 1 epochs \(smoke\)"
    ):
        load(file, "paper")


def test_planning_imports_neither_torch_nor_pandas():
    modules = "twinbench.config.loading, twinbench.config.checks, twinbench.figures.catalog, twinbench.fingerprint, twinbench.data.dataset"
    code = (
        f"import sys, {modules}; from twinbench.architectures.catalog import architectures; assert architectures(); "
        "assert twinbench.figures.catalog.figures(); print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("../mnist", "'../mnist' leaves the project"),
        ("a/../../b", "leaves the project"),
        ("nowhere", "no folder 'nowhere'; allowed: shipped, download, or a folder with the MNIST files"),
    ],
)
def test_data_source_must_be_a_folder_inside(source, expected):
    with pytest.raises(ConfigError, match=expected):
        check_data(MNIST, source)


def test_data_folder_must_hold_the_four_files(tmp_path):
    for name in list(MNIST.checksums)[:3]:
        (tmp_path / f"{name}.gz").touch()
    with pytest.raises(ConfigError, match="has no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"):
        check_data(MNIST, str(tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    check_data(MNIST, str(tmp_path))


def test_read_only_results_are_refused(tmp_path, monkeypatch):
    check_writable(str(tmp_path / "results"))  # can be made
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="results cannot be written here"):
        check_writable(str(tmp_path / "file"))
    # Root may write everywhere, so the answer of the system is made up here.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="results cannot be written here"):
        check_writable(str(tmp_path))


def test_yaml_bombs_and_huge_files_are_refused(tmp_path):
    bomb = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x, x]"] + [f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]" for p, n in zip("abcdefghi", "bcdefghij", strict=True)])  # fmt: skip
    file = tmp_path / "s.yaml"
    file.write_text(bomb)
    with pytest.raises(ConfigError, match=r"line 2: aliases such as \*a are not allowed"):
        load(file, "quick")
    file.write_text("title: " + "x" * 2_000_000)
    with pytest.raises(ConfigError, match="a configuration file of at most 1,000,000 bytes is allowed"):
        load(file, "quick")
    file.write_text("[" * 5000)
    with pytest.raises(ConfigError, match="not readable|not valid YAML"):
        load(file, "quick")


def paths(tree, prefix=()):
    """Yield the path of every node of a tree of dictionaries and lists."""
    yield prefix
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from paths(value, (*prefix, key))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=30), st.binary(max_size=5),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2), st.dates(),
    st.sampled_from(["adam", "1e-3", "../..", "target", "\x00", "a\nb", "😀", [[[]]], {"a": {"b": {}}}, 0, -1]),
)  # fmt: skip


def mutated(study, data, value, how):
    """A copy of a study file's content, of which one node is something else."""
    tree = copy.deepcopy(study)
    *parents, last = data.draw(st.sampled_from([path for path in paths(study) if path]))
    node = tree
    for key in parents:
        node = node[key]
    if how == "replace":
        node[last] = value
    elif how == "remove":
        del node[last]
    elif isinstance(node, dict):
        node[str(value)[:20]] = node[last] if how == "add" else node.pop(last)
    return tree


def is_accepted_or_refused_with_one_line(file, tree, scale):
    file.write_bytes(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    try:
        study = load(file, scale)
    except ConfigError as error:
        assert str(error).startswith(file.as_posix() + ": ")
        assert len(str(error).splitlines()) == 1
    else:
        assert study.protocol.rounds >= 1
        runs = {f"{name}-as-run" for name, model in tree["models"].items() if model.get("as_run") is not None}
        assert set(study.models) == set(tree["models"]) | runs
        assert Study(**study.model_dump()) == study.model_copy(update={"file": ""})


MUTATIONS = {
    "data": st.data(),
    "value": VALUES,
    "how": st.sampled_from(["replace", "remove", "add", "rename"]),
    "scale": st.sampled_from(SCALES),
}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(**MUTATIONS)
def test_a_mutated_study_is_accepted_or_refused_with_one_line(tmp_path_factory, data, value, how, scale):
    file = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    is_accepted_or_refused_with_one_line(file, mutated(STUDY, data, value, how), scale)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(**MUTATIONS)
def test_a_mutated_study_of_the_framework_is_accepted_or_refused_with_one_line(
    tmp_path_factory, data, value, how, scale
):
    file = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    disc = yaml.safe_load((STUDIES / "disc.yaml").read_text(encoding="utf-8"))
    is_accepted_or_refused_with_one_line(file, mutated(disc, data, value, how), scale)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(key=st.sampled_from([*CONFIG, "x"]), value=VALUES)
def test_a_mutated_config_is_accepted_or_refused_with_one_line(key, value):
    try:
        load_studies(load_config(CONFIG | {key: value}), STUDIES)
    except ConfigError as error:
        assert str(error).startswith("config/config.yaml: ")
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("source", ["random", "download"])
def test_pretrained_weights_need_no_file(source):
    check_pretrained(Pretrained(resnet18=source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("../w.pth", "'../w.pth' leaves the project; allowed: random, download, a file inside it, an absolute path"),
        ("a/../../w.pth", "'a/../../w.pth' leaves the project"),
        ("nowhere.pth", "no file 'nowhere.pth'; allowed: random, download, or a .pth or .safetensors file"),
        ("imagenet", "unknown 'imagenet'; allowed: random, download, or a .pth or .safetensors file"),
        ("README.md", "unknown 'README.md'; allowed"),
    ],
)
def test_pretrained_weights_must_be_a_file_inside(source, expected):
    with pytest.raises(ConfigError) as error:
        check_pretrained(Pretrained(resnet18=source))
    assert str(error.value).startswith(f"config/config.yaml: pretrained.resnet18: {expected}")


def test_every_declared_pretrained_start_has_a_key():
    declared = {architecture.pretrained for architecture in architectures().values()} - {None}
    assert declared == set(Pretrained.model_fields)

import copy
import dataclasses
import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, put
from twinbench.architectures.catalog import architectures
from twinbench.config.checks import check_data, check_pretrained, check_writable
from twinbench.config.loading import load_config, load_studies, load_study
from twinbench.config.models import Pretrained, schemas
from twinbench.config.reading import ConfigError
from twinbench.data.checksums import CHECKSUMS
from twinbench.data.pairs import parse_rounds
from twinbench.planning import Plan

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
STUDY = yaml.safe_load((ROOT / "config/studies/siamese-resnets.yaml").read_text(encoding="utf-8"))
SCALES = ["smoke", "quick", "paper"]


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
        (
            "scal",
            "quick",
            "scal: unknown key; allowed: scale, studies, seed, rounds_per_job, data, pretrained, partial, scratch, sweeps",
        ),
        ("scale", "fast", "scale: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
        ("scale", None, "scale: missing"),
        ("seed", "one", "seed: input should be a valid integer, not 'one'"),
        ("seed", True, "seed: input should be a valid integer, not True"),
        ("rounds_per_job", 0, "rounds_per_job: input should be greater than or equal to 1, not 0"),
        ("studies", [], "studies: list should have at least 1 item after validation, not 0, not []"),
        ("data.sauce", "shipped", "data.sauce: unknown key; allowed: source"),
        ("pretrained.resnet", "random", "pretrained.resnet: unknown key; allowed: resnet18"),
        ("pretrained.resnet18", 18, "pretrained.resnet18: input should be a valid string, not 18"),
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
    ("protocol.round", 3, "protocol.round: unknown key; allowed: pairs, rounds, folds, fixed_data"),
    ("protocol.folds", 7, "protocol.folds: 7 folds do not divide the 1000 training pairs; a divisor of pairs.train is allowed"),
    ("protocol.folds", 1, "protocol.folds: input should be greater than or equal to 2, not 1"),
    ("protocol.pairs.train", 40_000, "protocol.pairs.train + pairs.validation: 40000 pairs need 80000 distinct digits, MNIST has 60000; at most 30000 pairs are allowed"),
    ("protocol.pairs.test", 5001, "protocol.pairs.test: 5001 pairs need 10002 distinct digits, MNIST's test part has 10000; at most 5000 are allowed"),
    ("protocol.pairs.tset", 5, "protocol.pairs.tset: unknown key; allowed: train, validation, test"),
    ("protocol.pairs.validation", 100, "protocol.folds: cross-validation makes its own validation pairs; pairs.validation must be 0 with folds"),
    ("training.epochs", "many", "training.epochs: input should be a valid integer, not 'many'"),
    ("training.optimizer.name", "lion", "training.optimizer.name: input should be 'adam' or 'sgd', not 'lion'"),
    ("training.optimizer.lr", -1, "training.optimizer.lr: input should be greater than 0, not -1"),
    ("training.optimizer.beta", 1, "training.optimizer.beta: unknown key; allowed: name, lr, momentum, decay"),
    ("scales.quick.protocol.rounds", 0, "scales.quick.protocol.rounds: input should be greater than or equal to 1, not 0"),
    ("scales.quick.training", {"epoch": 3}, "scales.quick.training.epoch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping"),
    ("scales.fast", {}, "scales.fast: input should be 'smoke', 'quick' or 'paper', not 'fast'"),
    ("models.mlp.architecture", "mlp", "models.mlp.architecture: unknown 'mlp'; allowed: "),
    ("models.mlp.options", {"width": 3}, "models.mlp.options.width: unknown key; allowed: none"),
    ("models.mlp.objective", {"digits": 1}, "models.mlp.objective.digits: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.objective", {"target": 0}, "models.mlp.objective: no head is trained; allowed: target, digits or both above 0"),
    ("models.mlp.decision", "digits", "models.mlp.decision: mlp-selu has no digits head; allowed: target"),
    ("models.mlp.accelerator", "tpu", "models.mlp.accelerator: input should be 'cpu' or 'gpu', not 'tpu'"),
    ("models.mlp.training", {"batch": 2}, "models.mlp.training.batch: unknown key; allowed: epochs, batch_size, optimizer, early_stopping"),
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


def test_a_misspelt_key_is_named_rather_than_the_missing_one():
    with pytest.raises(
        ConfigError, match=r"^config/config.yaml: sead: unknown key; allowed: scale, .* \(and 1 more\)$"
    ):
        load_config(put(put(CONFIG, "seed", None), "sead", 3))


def test_an_untrained_head_cannot_decide(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/twin-lenet.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(put(raw, "models.plain.objective", {"digits": 1})), encoding="utf-8")
    with pytest.raises(ConfigError, match="models.plain.decision: the target head is not trained; allowed: digits"):
        load_study(file, "paper")


def test_a_key_named_twice_is_refused(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("title: a\ntitle: b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2: not valid YAML: key 'title' is named twice"):
        load_study(file, "quick")


def test_options_are_checked_against_the_architecture(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/twin-lenet.yaml").read_text(encoding="utf-8"))
    for options, expected in [
        ({"sharde": True}, "models.plain.options.sharde: unknown key; allowed: shared, activation"),
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
        (b"\xff\xfe", "not readable as YAML in UTF-8"),
        (b"- 1", "must hold keys and values"),
    ],
)
def test_unreadable_study_files(tmp_path, content, expected):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        load_study(file, "quick")


def test_a_scale_changes_what_it_says_and_nothing_else():
    quick, paper = (load_study(ROOT / "config/studies/twin-lenet.yaml", scale) for scale in ("quick", "paper"))
    assert quick.protocol.model_dump() | {"rounds": 32} == paper.protocol.model_dump() != quick.protocol.model_dump()
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
        changed = dataclasses.replace(study, protocol=protocol)
        return Plan(config, {"twin-lenet": changed}).blocks("twin-lenet")

    assert blocks(16) == ["0-7", "8-15"]
    assert blocks(32)[:2] == blocks(16)
    assert blocks(10) == ["0-7", "8-9"]
    assert blocks(3) == ["0-2"]
    assert [round_ for block in blocks(19, 5) for round_ in parse_rounds(block)] == list(range(19))


def test_a_model_may_have_fewer_rounds(tmp_path):
    config = load_config(CONFIG | {"studies": ["siamese-resnets"], "scale": "paper"})
    plan = Plan(config, {"siamese-resnets": load_study(study_with(tmp_path, "models.mlp.rounds", 3), "paper")})
    assert plan.blocks("siamese-resnets", "mlp") == ["0-2"]
    assert plan.blocks("siamese-resnets", "convnet") == ["0-7"]
    assert len(plan.cells("siamese-resnets", "mlp")) == 8


def test_a_scale_may_change_one_model(tmp_path):
    change = {"quick": {"training": {"epochs": 7, "early_stopping": {"patience": 2}}}}
    study = load_study(study_with(tmp_path, "models.mlp.scales", change), "quick")
    assert study.reduced["models"]["mlp"] == change["quick"]
    assert (study.trainings["mlp"].epochs, study.trainings["mlp"].early_stopping.patience) == (7, 2)
    assert study.trainings["mlp"].optimizer.name == "adam"
    assert study.trainings["convnet"].epochs == 50


def test_the_published_schedule_and_phases_are_read(tmp_path):
    plan = Plan(
        load_config(CONFIG | {"scale": "paper"}),
        {"transfer": load_study(ROOT / "config/studies/transfer.yaml", "paper")},
    )
    assert plan.cell("transfer", "baseline")["objective"] == {"target": 1.0, "digits": 0.0, "phases": None}
    assert plan.cell("transfer", "auxiliary-loss")["objective"]["digits"] == {"start": 1.0, "end": 0.0}
    assert [phase["train"] for phase in plan.cell("transfer", "transfer-learning")["objective"]["phases"]] == [
        ["branch", "digits"],
        ["comparison"],
    ]
    scoring = plan.scoring("transfer")
    assert scoring["transfer-learning"]["weights"] == {"target": 1.0, "digits": 0.0}
    assert scoring["auxiliary-loss"]["weights"] == pytest.approx({"target": 0.99, "digits": 0.01})


def test_a_phase_needs_an_epoch_at_every_scale(tmp_path):
    raw = yaml.safe_load((ROOT / "config/studies/transfer.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(put(raw, "scales.smoke.training.epochs", 1)), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"models.transfer-learning.objective.phases.0.share: 0.5 of 1 epochs \(smoke\)"
    ):
        load_study(file, "paper")


def test_planning_imports_neither_torch_nor_pandas():
    code = "import sys, twinbench.planning, twinbench.fingerprint; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
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
        check_data(source)


def test_data_folder_must_hold_the_four_files(tmp_path):
    for name in list(CHECKSUMS)[:3]:
        (tmp_path / f"{name}.gz").touch()
    with pytest.raises(ConfigError, match="has no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"):
        check_data(str(tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    check_data(str(tmp_path))


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
        load_study(file, "quick")
    file.write_text("title: " + "x" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
        load_study(file, "quick")
    file.write_text("[" * 5000)
    with pytest.raises(ConfigError, match="not readable|not valid YAML"):
        load_study(file, "quick")


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


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    data=st.data(),
    value=VALUES,
    how=st.sampled_from(["replace", "remove", "add", "rename"]),
    scale=st.sampled_from(SCALES),
)
def test_a_mutated_study_is_accepted_or_refused_with_one_line(tmp_path_factory, data, value, how, scale):
    tree = copy.deepcopy(STUDY)
    *parents, last = data.draw(st.sampled_from([path for path in paths(STUDY) if path]))
    node = tree
    for key in parents:
        node = node[key]
    if how == "replace":
        node[last] = value
    elif how == "remove":
        del node[last]
    elif isinstance(node, dict):
        node[str(value)[:20]] = node[last] if how == "add" else node.pop(last)
    file = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    file.write_bytes(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    try:
        study = load_study(file, scale)
    except ConfigError as error:
        assert str(error).startswith(file.as_posix() + ": ")
        assert len(str(error).splitlines()) == 1
    else:
        assert study.protocol.rounds >= 1
        assert set(study.trainings) == set(study.file.models)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(key=st.sampled_from([*CONFIG, "x"]), value=VALUES)
def test_a_mutated_config_is_accepted_or_refused_with_one_line(key, value):
    try:
        config = load_config(CONFIG | {key: value})
        load_studies(config, ROOT / "config/studies")
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

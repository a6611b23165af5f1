"""Models as run: what an `as_run` section of a study file makes, and what it may not say."""

import pytest
import yaml

from tests.conftest import put
from tests.unit.studies import STUDIES, load
from twinbench.config.models import AsRun
from twinbench.files import ConfigError
from twinbench.spec.model import Entry

LENETS = yaml.safe_load((STUDIES / "twin-lenet.yaml").read_text(encoding="utf-8"))
FOLDS = yaml.safe_load((STUDIES / "siamese-resnets.yaml").read_text(encoding="utf-8"))
SAYS = {"differs": ["the head is off"]}


def without_as_run(raw):
    """The study without the sections that it ships with, so that the tests' own are the only ones."""
    models = {name: {k: v for k, v in entry.items() if k != "as_run"} for name, entry in raw["models"].items()}
    return {key: value for key, value in raw.items() if key != "as_run"} | {"models": models, "sweeps": {}}


def written(tmp_path, raw, *changes):
    raw = without_as_run(raw)
    for path, value in changes:
        raw = put(raw, path, value)
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return file


def as_run(tmp_path, changes, scale="paper", raw=LENETS, model="shared-auxiliary"):
    """A model and what a section with these changes makes of it."""
    study = load(written(tmp_path, raw, (f"models.{model}.as_run", SAYS | changes)), scale)
    return study.models[model], study.models[f"{model}-as-run"]


def test_a_section_makes_a_second_model_after_the_first(tmp_path):
    file = written(tmp_path, LENETS, ("models.shared.as_run", SAYS | {"training": {"shuffle": True}}))
    study = load(file)
    names = list(study.models)
    assert names[names.index("shared") + 1] == "shared-as-run"
    assert len(names) == len(LENETS["models"]) + 1
    described, run = study.models["shared"], study.models["shared-as-run"]
    assert (run.label, run.as_run_of, run.differs) == ("weight sharing, as run", "shared", ["the head is off"])
    assert (described.as_run_of, described.differs) == (None, [])
    assert described.published.values
    assert run.published.values == []
    assert not described.training.shuffle
    assert run.training.shuffle
    assert run.training.model_copy(update={"shuffle": False}) == described.training
    assert {cell["model"] for cell in study.cells()} == set(names)


def test_sections_change_only_what_they_name(tmp_path):
    changes = {
        "options": {"activation": "tanh"},
        "objective": {"digits": {"start": 1, "end": 0}},
        "training": {"optimizer": {"lr": 0.5}},
    }
    described, run = as_run(tmp_path, changes)
    assert run.options == described.options | {"activation": "tanh"}
    assert "shared" in run.options
    assert run.objective.model_dump() == {"target": 1, "digits": {"start": 1, "end": 0}}
    assert run.training.optimizer == described.training.optimizer.model_copy(update={"lr": 0.5})


def test_a_head_can_be_switched_off(tmp_path):
    _, run = as_run(tmp_path, {"objective": {"digits": 0}})
    assert run.objective.trained == ["target"]


def test_the_study_s_section_holds_for_every_model_with_one_and_the_model_s_goes_over_it(tmp_path):
    shared = {"differs": ["for all"], "reported_fold": "last", "training": {"batch_size": 7, "shuffle": False}}
    file = written(
        tmp_path, FOLDS, ("as_run", shared), ("models.mlp.as_run", {}),
        ("models.convnet.as_run", SAYS | {"training": {"batch_size": 8}}),
    )  # fmt: skip
    models = load(file).models
    assert [name for name in models if name.endswith("-as-run")] == ["mlp-as-run", "convnet-as-run"]
    mlp, convnet = models["mlp-as-run"], models["convnet-as-run"]
    assert (mlp.differs, convnet.differs) == (["for all"], ["for all", "the head is off"])
    assert (mlp.training.batch_size, convnet.training.batch_size) == (7, 8)
    assert (mlp.reported_fold, convnet.reported_fold) == ("last", "last")
    assert not convnet.training.shuffle


def test_another_architecture_takes_none_of_the_options(tmp_path):
    _, run = as_run(tmp_path, {"architecture": "dense-twin", "options": {"width": 7}})
    assert (run.architecture, run.options) == ("dense-twin", {"width": 7})


def test_a_scale_changes_both(tmp_path):
    file = written(
        tmp_path, FOLDS, ("models.mlp.as_run", SAYS | {"training": {"epochs": 9, "shuffle": False}}),
        ("models.mlp.scales", {"quick": {"training": {"epochs": 3}}}),
    )  # fmt: skip
    for scale, epochs in (("paper", (50, 9)), ("quick", (3, 3)), ("smoke", (2, 2))):
        models = load(file, scale).models
        assert (models["mlp"].training.epochs, models["mlp-as-run"].training.epochs) == epochs
        assert not models["mlp-as-run"].training.shuffle


def test_a_section_may_hold_every_key_of_a_model_but_names_and_published_values():
    assert set(Entry.model_fields) - {"label", "published", "tries"} == set(AsRun.model_fields) - {"differs"}


def test_test_pairs_may_pass_in_as_run_sections_alone(tmp_path):
    described, run = as_run(tmp_path, {"training": {"passes": ["test"]}})
    assert (described.sees_test, run.sees_test) == (False, True)
    file = written(tmp_path, LENETS, ("models.shared.training", {"passes": ["test"]}))
    with pytest.raises(ConfigError, match=r"models.shared.training.passes: test pairs .*; allowed in as_run sections"):
        load(file)


def test_a_trial_names_the_model_that_it_tries_to_explain(tmp_path):
    trial = {key: value for key, value in LENETS["models"]["shared"].items() if key not in ("published", "as_run")}
    study = load(written(tmp_path, LENETS, ("models.trial", trial | {"tries": "shared"})))
    assert study.models["trial"].tries == "shared"


SECTION = "models.mlp.as_run"
MISTAKES = [
    (SECTION, {"training": {"shuffle": False}}, "models.mlp.as_run: needs a sentence for each difference (differs) and the keys that make it; both are allowed here"),
    (SECTION, {"differs": [], "rounds": 1}, "models.mlp.as_run: needs a sentence for each difference (differs) and the keys that make it; both are allowed here"),
    (SECTION, SAYS, "models.mlp.as_run: needs a sentence for each difference (differs) and the keys that make it; both are allowed here"),
    (SECTION, SAYS | {"label": "M"}, "models.mlp.as_run.label: unknown key; allowed: differs, metrics, architecture, options"),
    (SECTION, SAYS | {"published": {}}, "models.mlp.as_run.published: unknown key; allowed: differs"),
    (SECTION, SAYS | {"training": {"epoch": 1}}, "models.mlp.as_run.training.epoch: unknown key; allowed: epochs"),
    (SECTION, SAYS | {"training": {"batch_size": 437}}, "models.mlp.as_run.training.batch_size: 437 leaves a last batch of 1"),
    (SECTION, SAYS | {"objective": {"digit": 1}}, "models.mlp.as_run.objective.digit: unknown key; allowed: target, digits"),
    (SECTION, SAYS | {"objective": {"digits": 1}}, "models.mlp.as_run.objective.digits: mlp-selu has no digits head"),
    (SECTION, SAYS | {"options": {"wide": 1}}, "models.mlp.as_run.options.wide: unknown key; allowed: none"),
    (SECTION, SAYS | {"architecture": "mlp"}, "models.mlp.as_run.architecture: unknown 'mlp'; allowed: "),
    (SECTION, SAYS | {"architecture": "scratch-disc"}, "models.mlp.as_run.architecture: scratch-disc is for the task disc, this study's is pairs"),
    (SECTION, SAYS | {"reported_fold": "best", "whole_rounds": 1}, "models.mlp.as_run.whole_rounds: the rounds after them train the last fold alone; allowed with protocol.folds and reported_fold: last"),
    ("models.mlp.whole_rounds", 1, "models.mlp.whole_rounds: the rounds after them train the last fold alone"),
    ("models.mlp.as_run_of", "convnet", "models.mlp.as_run_of: unknown key; allowed: label"),
    ("models.conv-transpose.tries", "mlp", "models.conv-transpose.tries: the model has published values of its own; allowed without published.values"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), MISTAKES, ids=[expected[:60] for _, _, expected in MISTAKES])
def test_mistakes_name_key_and_what_is_allowed(tmp_path, path, value, expected):
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, FOLDS, (path, value)))
    assert str(error.value).startswith(f"{(tmp_path / 's.yaml').as_posix()}: {expected}")
    assert "\n" not in str(error.value)


def test_a_name_that_is_taken_is_refused(tmp_path):
    entry = without_as_run(LENETS)["models"]["shared"]
    changes = ("models.plain-as-run", entry), ("models.plain.as_run", SAYS | {"rounds": 1})
    with pytest.raises(ConfigError, match="models.plain.as_run: makes the model plain-as-run, which is there already"):
        load(written(tmp_path, LENETS, *changes))


@pytest.mark.parametrize("tried", ["nobody", "trial"])
def test_a_trial_of_no_published_model_is_refused(tmp_path, tried):
    entry = without_as_run(LENETS)["models"]["shared"]
    trial = {key: value for key, value in entry.items() if key != "published"} | {"tries": tried}
    expected = f"models.trial.tries: no model '{tried}' with published values; allowed: plain, shared"
    with pytest.raises(ConfigError, match=expected):
        load(written(tmp_path, LENETS, ("models.trial", trial)))


def test_a_last_fold_needs_folds(tmp_path):
    with pytest.raises(ConfigError, match="plain.reported_fold: there are no folds; allowed with protocol.folds"):
        load(written(tmp_path, LENETS, ("models.plain.reported_fold", "last")))

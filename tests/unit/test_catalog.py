"""Planning reads architectures from their source."""

import pytest

from twinbench.architectures import catalog
from twinbench.training.scratch import ScratchReplicas

REGISTER = '@register("mine", heads=("target",), parameters=3)\n'


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return the architectures of a folder with one file, mine.py."""
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)

    def read(source):
        (tmp_path / "mine.py").write_text(source, encoding="utf-8")
        catalog.architectures.cache_clear()
        return catalog.architectures()

    yield read
    catalog.architectures.cache_clear()


BASE = """
class Base(nn.Module):
    def __init__(self, width: int = 3, kind: Literal["a", "b"] = "a"):
        super().__init__()
        self.branch = nn.Linear(1, 2)
        self.head = nn.Linear(2, 3)
"""


def test_an_architecture_needs_one_file_only(read):
    mine = read(REGISTER + BASE.lstrip())["mine"]
    assert (mine.module, mine.heads, mine.parameters) == ("twinbench.architectures.mine", ("target",), 3)
    assert mine.parts == ("branch", "head")
    assert mine.options["width"] == (int, 3)
    assert mine.options["kind"][1] == "a"


def test_what_an_architecture_declares_beside_its_heads(read):
    plain = read(REGISTER + BASE.lstrip())["mine"]
    assert (plain.task, plain.loss, plain.strategy, plain.pretrained) == ("pairs", "cross-entropy", None, None)
    assert (plain.modules, plain.own_strategy()) == (["twinbench.architectures.mine", "twinbench.tasks.pairs"], None)
    own = '@register("mine", heads=("target",), parameters=3, task="disc", loss="mse", strategy="twinbench.training.scratch")\n'
    mine = read(own + BASE.lstrip())["mine"]
    assert (mine.task, mine.loss) == ("disc", "mse")
    assert mine.modules == ["twinbench.architectures.mine", "twinbench.tasks.disc", "twinbench.training.scratch"]
    assert mine.own_strategy() is ScratchReplicas


@pytest.mark.parametrize(
    "between", ["", "class Middle(Base):\n    pass\n"], ids=["of its base", "of the base of its base"]
)
def test_an_inherited_init_is_found(read, between):
    source = f"{BASE}{between}{REGISTER}class Mine({'Middle' if between else 'Base'}):\n    def forward(self): ...\n"
    mine = read(source)["mine"]
    assert mine.parts == ("branch", "head")
    assert list(mine.options) == ["width", "kind"]


def test_an_init_of_its_own_gives_the_options_and_adds_parts(read):
    own = "    def __init__(self, deep: bool = False):\n        super().__init__()\n        self.more = self.head = deep\n"
    mine = read(f"{BASE}{REGISTER}class Mine(Base):\n{own}")["mine"]
    assert mine.options == {"deep": (bool, False)}
    assert mine.parts == ("branch", "head", "more")


def test_the_first_base_that_has_an_init_counts(read):
    mixins = "class Mixin(nn.Module):\n    pass\n"
    mine = read(f"{BASE}{mixins}{REGISTER}class Mine(Mixin, Base, Elsewhere):\n    pass\n")["mine"]
    assert list(mine.options) == ["width", "kind"]


def test_without_an_init_there_are_no_options(read):
    mine = read(f"{REGISTER}class Mine(nn.Module):\n    pass\n")["mine"]
    assert (mine.options, mine.parts) == ({}, ())


@pytest.mark.parametrize("bases", ["Elsewhere", "nn.Sequential", "Elsewhere, nn.Module", "Elsewhere, Base", "Middle"])
def test_a_base_from_elsewhere_is_refused(read, bases):
    middle = "class Middle(nn.Sequential):\n    pass\n"
    with pytest.raises(
        ValueError, match=r"mine\.py: Mine needs an __init__ in this file, .* (Elsewhere|nn.Sequential)"
    ):
        read(f"{BASE}{middle}{REGISTER}class Mine({bases}):\n    pass\n")


def test_a_base_from_elsewhere_is_fine_behind_an_init(read):
    own = "    def __init__(self, deep: bool = False):\n        super().__init__()\n"
    assert read(f"{REGISTER}class Mine(Elsewhere):\n{own}")["mine"].options == {"deep": (bool, False)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("width", "every option of Mine needs a default"),
        ("width: int", "every option of Mine needs a default"),
        ("*widths: int", "every option of Mine needs a default"),
        ("width=3", "option width of Mine needs one of"),
        ("width: Path = 3", "option width of Mine needs one of"),
    ],
)
def test_what_is_no_option_is_refused(read, arguments, message):
    with pytest.raises(ValueError, match=rf"mine\.py: {message}"):
        read(f"{REGISTER}class Mine(nn.Module):\n    def __init__(self, {arguments}):\n        super().__init__()\n")


def test_a_name_is_registered_once(read):
    with pytest.raises(ValueError, match="architecture mine is registered twice"):
        read(f"{REGISTER}{BASE.lstrip()}{REGISTER}class Mine(Base):\n    pass\n")

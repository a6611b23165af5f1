import pytest

from tests.conftest import ROOT
from twinbench import fingerprint


@pytest.fixture
def codes(monkeypatch):
    """Let a test change a module's source, as the digest sees it."""
    changed = {}
    original = fingerprint._code.__wrapped__
    monkeypatch.setattr(fingerprint, "_code", lambda path: changed.get(path.name) or original(path))

    def digest(*modules, **sources):
        changed.clear()
        changed.update({f"{name}.py": source for name, source in sources.items()})
        return fingerprint.digest.__wrapped__(ROOT / "workflow/scripts/train.py", *modules)

    return digest


TRAIN = ("twinbench.architectures.twin_lenet",)


def test_digest_follows_imports_and_only_them(codes):
    before = codes(*TRAIN)
    for module in ("twin_lenet", "twin", "layers", "loop", "replicas", "objectives", "pairs", "seeds", "files"):
        assert codes(*TRAIN, **{module: "changed = 1"}) != before, module
    for module in (
        "siamese_resnets",
        "metrics",
        "statistics",
        "curves",
        "build",
        "planning",
        "loading",
        "fingerprint",
        "joblog",
    ):
        assert codes(*TRAIN, **{module: "changed = 1"}) == before, module


def test_comments_docstrings_and_layout_do_not_count(tmp_path):
    path = tmp_path / "module.py"
    codes = []
    for text in (
        '"""Doc."""\n\n\ndef f(a, b):\n    """More."""\n    # why\n    return a + b\n',
        "def f(a,b): return (a + b)\n",
        "def f(a, b):\n    return a - b\n",
    ):
        path.write_text(text, encoding="utf-8")
        codes.append(fingerprint._code.__wrapped__(path))
    assert codes[0] == codes[1] != codes[2]


def test_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match="twinbench.nothing"):
        fingerprint.digest(ROOT / "workflow/scripts/train.py", "twinbench.nothing")

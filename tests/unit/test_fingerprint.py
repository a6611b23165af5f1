import ast
import shutil

import grimp
import pytest

from tests.conftest import ROOT
from twinbench import fingerprint
from twinbench.architectures.catalog import architectures


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


TRAIN = tuple(architectures()["twin-lenet"].modules)


def test_digest_follows_imports_and_only_them(codes):
    before = codes(*TRAIN)
    for module in (
        "twin_lenet",
        "twin",
        "tuned",
        "stack",
        "loop",
        "replicas",
        "objectives",
        "pairs",
        "tensors",
        "record",
        "seeds",
        "files",
    ):
        assert codes(*TRAIN, **{module: "changed = 1"}) != before, module
    for module in (
        "siamese_resnets",
        "disc",
        "metrics",
        "statistics",
        "curves",
        "build",
        "study",
        "model",
        "resolve",
        "loading",
        "scratch",
        "scratch_dense",
        "modules",
        "fingerprint",
        "joblog",
        "gpu_slots",
        "provenance",
    ):
        assert codes(*TRAIN, **{module: "changed = 1"}) == before, module


def test_digest_of_a_model_of_our_own_framework_follows_the_framework(codes):
    modules = architectures()["scratch-disc"].modules
    before = codes(*modules)
    for module in ("scratch_dense", "scratch", "modules", "losses", "sgd", "loop", "disc"):
        assert codes(*modules, **{module: "changed = 1"}) != before, module
    for module in ("twin_lenet", "transfer", "predictions", "disc_points"):
        assert codes(*modules, **{module: "changed = 1"}) == before, module


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package; returns a function that edits one of its files and says whether training's digest changed."""
    shutil.copytree(
        fingerprint.SOURCE / "twinbench", tmp_path / "twinbench", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(fingerprint, "SOURCE", tmp_path)
    monkeypatch.setattr(fingerprint, "_code", fingerprint._code.__wrapped__)

    def edit_counts(file, old, new):
        path, before = tmp_path / "twinbench" / file, training_code()
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return training_code() != before

    return edit_counts


def training_code():
    return fingerprint.digest.__wrapped__(ROOT / "workflow/scripts/train.py", *TRAIN)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("gpu_slots.py", "poll: float = 1.0", "poll: float = 5.0", id="a lock's poll interval"),
        pytest.param("provenance.py", 'PACKAGES = ("numpy"', 'PACKAGES = ("grimp", "numpy"', id="a package that is noted"),
        pytest.param("joblog.py", "%H:%M:%S", "%H:%M", id="how a log line looks"),
        pytest.param("training/cell.py", "are over the study's", "exceed the study's", id="the text of a raise"),
        pytest.param("training/cell.py", '{count:,} parameters', '{count} parameters', id="a value in the text of a raise"),
        pytest.param("training/cell.py", "batch norm needs more", "batch norm asks for more", id="a raise with from"),
        pytest.param("files.py", "not a whole Parquet file", "a broken Parquet file", id="a raise outside training"),
        pytest.param("training/loop.py", "resumed after epoch", "went on after epoch", id="the text of a log call"),
        pytest.param("training/loop.py", "seconds * (epochs - epoch))", "seconds)", id="an argument of a log call"),
        pytest.param("training/loop.py", '"""The one training loop', '"""The training loop', id="a docstring"),
        pytest.param("training/loop.py", "# ok or diverged", "# how it ended", id="a comment"),
    ],
)  # fmt: skip
def test_an_edit_that_changes_no_result_does_not_count(package, file, old, new):
    assert not package(file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("training/loop.py", "epochs + 1", "epochs + 2", id="a number in the training loop"),
        pytest.param("training/loop.py", "not finite after epoch {epoch}", "not finite", id="a reason that is recorded"),
        pytest.param("training/loop.py", 'log.info("resumed after epoch %d", leg.epoch)', "pass", id="a log call"),
        pytest.param("training/loop.py", "(epoch - first + 1)", "(epoch - first)", id="what is computed before a log call"),
        pytest.param("training/cell.py", "raise DataError(f\"{count", "raise ValueError(f\"{count", id="an exception's class"),
        pytest.param("training/cell.py", "count > budget", "count >= budget", id="a condition before a raise"),
        pytest.param("training/stacked/stack.py", "type(models[0]).__name__", "str(models[0])", id="a text made before"),
        pytest.param("training/cell.py", ") from error", ")", id="an exception's cause"),
        pytest.param("machine.py", "set_flush_denormal(True)", "set_flush_denormal(False)", id="a setting of torch"),
    ],
)  # fmt: skip
def test_an_edit_that_may_change_a_result_counts(package, file, old, new):
    assert package(file, old, new)


@pytest.fixture
def code(tmp_path):
    """Return what counts of a module's text."""

    def of(text):
        path = tmp_path / "module.py"
        path.write_text(text, encoding="utf-8")
        return fingerprint._code.__wrapped__(path)

    return of


def test_comments_docstrings_and_layout_do_not_count(code):
    codes = [
        code(text)
        for text in (
            '"""Doc."""\n\n\ndef f(a, b):\n    """More."""\n    # why\n    return a + b\n',
            "def f(a,b): return (a + b)\n",
            "def f(a, b):\n    return a - b\n",
        )
    ]
    assert codes[0] == codes[1] != codes[2]


LOG = "import logging\nlog = logging.getLogger(__name__)\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raise ValueError('a')", "raise ValueError('b', 1, *c, key=d)"),
        ("raise errors._DataError(f'{a}')", "raise errors._DataError(str(b))"),
        ("try: f()\nexcept OSError as e: raise ValueError('a') from e",
         "try: f()\nexcept OSError as e: raise ValueError(f'b {e}') from e"),
        *((f"{LOG}log.{level}('a')", f"{LOG}log.{level}('b %d', 1, exc_info=True)") for level in sorted(fingerprint.LOG_METHODS)),
        (f"{LOG}def f(x):\n    log.info('a')\n    return x", f"{LOG}def f(x):\n    log.info(f'b {{x}}')\n    return x"),
    ],
)  # fmt: skip
def test_arguments_of_raise_and_log_do_not_count(code, before, after):
    assert code(before) == code(after)
    ast.parse(code(before))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raise ValueError('a')", "raise TypeError('a')"),
        ("raise ValueError('a')", "pass"),
        ("raise ValueError('a') from None", "raise ValueError('a')"),
        ("if a > 1: raise ValueError('a')", "if a > 2: raise ValueError('a')"),
        ("x = ValueError('a')", "x = ValueError('b')"),
        ("text = 'a'\nraise ValueError(text)", "text = 'b'\nraise ValueError(text)"),
        ("raise choose(1)", "raise choose(2)"),  # a function may return another class
        ("raise errors[1]('a')", "raise errors[2]('a')"),
        ("raise ValueError(x := 1)", "raise ValueError(x := 2)"),
        ("raise ValueError(f'{(x := 1)}')", "raise ValueError(f'{(x := 2)}')"),
        ("raise ValueError(text=[x := 1])", "raise ValueError(text=[x := 2])"),
        ("def f():\n    raise ValueError((yield 1))", "def f():\n    raise ValueError(1)"),
        (f"{LOG}log.info('%d', x := 1)", f"{LOG}log.info('%d', x := 2)"),
        (f"{LOG}log.info('a')", f"{LOG}log.debug('a')"),
        (f"{LOG}log.info('a')", LOG),
        (f"{LOG}log.setLevel(1)", f"{LOG}log.setLevel(2)"),
        (f"{LOG}other.info('a')", f"{LOG}other.info('b')"),
        (f"{LOG}self.log.info('a')", f"{LOG}self.log.info('b')"),
        # `log` is no logger, or something else of that name hides it.
        ("from numpy import log\nlog.info('a')", "from numpy import log\nlog.info('b')"),
        ("log.info('a')", "log.info('b')"),
        (f"{LOG}def f(log): return log.info('a')", f"{LOG}def f(log): return log.info('b')"),
        (f"{LOG}def f():\n    log = g()\n    log.info('a')", f"{LOG}def f():\n    log = g()\n    log.info('b')"),
    ],
)
def test_all_else_around_raise_and_log_counts(code, before, after):
    assert code(before) != code(after)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A made-up package whose imports are given; returns the modules whose edit changes the script's digest."""
    script = tmp_path / "script.py"
    script.write_text("from twinbench.a import f\nfrom twinbench import joblog\n", encoding="utf-8")
    monkeypatch.setattr(fingerprint, "SOURCE", tmp_path)
    monkeypatch.setattr(fingerprint, "_code", fingerprint._code.__wrapped__)
    (tmp_path / "twinbench").mkdir()

    def counted(imports, *modules):
        graph = grimp.ImportGraph()
        for importer, imported in imports:
            graph.add_import(importer=f"twinbench.{importer}", imported=f"twinbench.{imported}")
        monkeypatch.setattr(fingerprint, "_imports", lambda: graph)
        paths = [fingerprint._path(module) for module in sorted(graph.modules)]
        for path in paths:
            path.write_text("value = 1\n", encoding="utf-8")
        before, found = fingerprint.digest.__wrapped__(script, *modules), set()
        for path in paths:
            path.write_text("value = 2\n", encoding="utf-8")
            if fingerprint.digest.__wrapped__(script, *modules) != before:
                found.add(path.stem)
            path.write_text("value = 1\n", encoding="utf-8")
        return found

    return counted


def test_what_only_ignored_modules_import_is_left_out(tree):
    imports = [
        ("a", "b"),
        ("b", "gpu_slots"),
        ("gpu_slots", "locks"),
        ("locks", "files"),
        ("a", "joblog"),
        ("other", "a"),
    ]
    assert tree(imports) == {"a", "b"}
    assert tree([*imports, ("joblog", "colours")]) == {"a", "b"}
    assert tree([*imports, ("b", "files")]) == {"a", "b", "files"}
    assert tree([*imports, ("b", "a"), ("gpu_slots", "a")]) == {"a", "b"}, "circles end"


def test_an_ignored_module_counts_where_it_is_asked_for(tree):
    imports = [("a", "provenance"), ("provenance", "versions"), ("versions", "joblog")]
    assert tree(imports) == {"a"}
    assert tree(imports, "twinbench.provenance") == {"a", "provenance", "versions"}


def test_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match="twinbench.nothing"):
        fingerprint.digest(ROOT / "workflow/scripts/train.py", "twinbench.nothing")


def test_ignored_modules_exist():
    assert fingerprint._imports().modules >= fingerprint.IGNORED

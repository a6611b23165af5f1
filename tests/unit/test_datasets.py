import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torchvision.datasets

from tests.conftest import ROOT
from tests.unit.small_dataset import EVERY_KIND, LABELS, contents, in_folder, make
from twinbench.config.checks import check_data
from twinbench.data import sets
from twinbench.data.dataset import datasets
from twinbench.files import ConfigError

SHIPPED = ROOT / "resources/mnist"
MNIST = datasets()["mnist"]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_declaration_agrees_with_torchvision(name):
    dataset = datasets()[name]
    source = getattr(torchvision.datasets, dataset.torchvision)
    assert [f"{file}.gz" for file in dataset.checksums] == [file for file, _ in source.resources]
    if name != "mnist":  # whose SHA-256 the shipped files have
        assert (dataset.algorithm, dataset.checksum_of) == ("md5", "gz")
        assert [*dataset.checksums.items()] == [(file.removesuffix(".gz"), md5) for file, md5 in source.resources]
    assert [*dataset.classes] == [label.partition(" - ")[0] for label in source.classes]
    assert (dataset.train, dataset.test) == (60_000, 10_000)


def test_shipped_checksums_are_those_that_their_page_gives():
    page = (ROOT / MNIST.shipped / "SOURCE.md").read_text(encoding="utf-8")
    assert (MNIST.algorithm, MNIST.checksum_of) == ("sha256", "content")
    for name, sha256 in MNIST.checksums.items():
        assert f"| `{name}` | `{sha256}` |" in page


def test_data_sets_are_found_with_title_order_and_module():
    assert set(datasets()) == {"mnist", "fashion-mnist", "kmnist"}
    assert [name for name, dataset in datasets().items() if dataset.shipped] == ["mnist"]
    for name, dataset in datasets().items():
        assert dataset.name == name
        assert dataset.module in sys.modules
        assert dataset.title
        assert dataset.order.endswith(".")
        assert len(set(dataset.classes)) == 10


def test_a_new_data_set_is_one_new_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path)])
    made = make(tmp_path / "files", name="new-letters")
    file = tmp_path / "new_letters.py"
    file.write_text(f"from twinbench.data.dataset import Dataset\n\nDATASET = {made!r}\n")
    assert datasets.__wrapped__() == datasets() | {"new-letters": made}
    assert made.module == "twinbench.data.sets.new_letters"


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("nothing", "DATASETS = []", r"twinbench.data.sets.nothing: defines no DATASET = Dataset\(...\)"),
        ("other", "from twinbench.data.sets.mnist import DATASET", "twinbench.data.sets.other: its data set is named 'mnist', which belongs in twinbench.data.sets.mnist"),
    ],
)  # fmt: skip
def test_a_module_without_its_data_set_is_named(tmp_path, monkeypatch, module, source, expected):
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path)])
    (tmp_path / f"{module}.py").write_text(f"{source}\n")
    with pytest.raises(ValueError, match=expected):
        datasets.__wrapped__()


def test_planning_with_data_sets_imports_neither_torch_nor_numpy():
    code = (
        "import sys, twinbench.config.checks; "
        "from twinbench.data.dataset import datasets; assert datasets(); "
        "print({'torch', 'torchvision', 'pandas', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "set()"


KEY = "config/config.yaml: data.source"
SHIPPED_OR = "allowed: shipped, download, or a folder with the MNIST files"
NOT_SHIPPED = "allowed: download, or a folder with the {} files"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("mnist", "../mnist", f"'../mnist' leaves the project; {SHIPPED_OR}, inside it or by an absolute path"),
        ("mnist", "a/../../b", f"'a/../../b' leaves the project; {SHIPPED_OR}, inside it or by an absolute path"),
        ("mnist", "nowhere", f"no folder 'nowhere'; {SHIPPED_OR}"),
        ("mnist", "README.md", f"no folder 'README.md'; {SHIPPED_OR}"),
        ("mnist", "x" * 300, f"{'x' * 300!r} cannot be looked into (File name too long); {SHIPPED_OR}"),
        ("kmnist", "nowhere", f"no folder 'nowhere'; {NOT_SHIPPED.format('Kuzushiji-MNIST')}"),
        ("kmnist", "shipped", f"no Kuzushiji-MNIST files are shipped with the project; {NOT_SHIPPED.format('Kuzushiji-MNIST')}"),
        ("fashion-mnist", "shipped", f"no Fashion-MNIST files are shipped with the project; {NOT_SHIPPED.format('Fashion-MNIST')}"),
        ("fashion-mnist", "../f", f"'../f' leaves the project; {NOT_SHIPPED.format('Fashion-MNIST')}, inside it or by an absolute path"),
    ],
)  # fmt: skip
def test_data_source_must_be_allowed(name, source, expected):
    with pytest.raises(ConfigError) as error:
        check_data(datasets()[name], source)
    assert str(error.value) == f"{KEY}: {expected}"


def test_data_folder_must_be_one_that_can_be_looked_into(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", denied)  # root may look into everything
    with pytest.raises(ConfigError) as error:
        check_data(MNIST, str(tmp_path))
    assert str(error.value) == f"{KEY}: '{tmp_path}' cannot be looked into (Permission denied); {SHIPPED_OR}"


def test_missing_shipped_files_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    back = f"git checkout -- resources/mnist, run in the project, brings them back; {SHIPPED_OR}"
    with pytest.raises(ConfigError) as error:
        check_data(MNIST, "shipped")
    assert str(error.value) == f"{KEY}: shipped files are missing: no folder 'resources/mnist'; {back}"
    (tmp_path / "resources").mkdir()
    make(tmp_path / "resources/mnist")
    check_data(MNIST, "shipped")
    Path(f"resources/mnist/{LABELS}.gz").unlink()
    with pytest.raises(ConfigError) as error:
        check_data(MNIST, "shipped")
    missing = f"resources/mnist has no {LABELS} or {LABELS}.gz"
    assert str(error.value) == f"{KEY}: shipped files are missing: {missing}; {back}"
    check_data(replace(MNIST, shipped=str(SHIPPED)), "shipped")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_data_folder_must_hold_the_four_files(tmp_path, name):
    dataset = datasets()[name]
    for file in list(dataset.checksums)[:3]:
        (tmp_path / f"{file}.gz").touch()
    allowed = SHIPPED_OR if dataset.shipped else NOT_SHIPPED.format(dataset.title)
    lacks = f"{LABELS} or {LABELS}.gz" if name == "mnist" else f"{LABELS}.gz"
    with pytest.raises(ConfigError) as error:
        check_data(dataset, str(tmp_path))
    assert str(error.value) == f"{KEY}: {tmp_path} has no {lacks}; {allowed}"
    (tmp_path / LABELS).touch()
    if name == "mnist":
        check_data(dataset, str(tmp_path))
    else:
        with pytest.raises(ConfigError) as error:
            check_data(dataset, str(tmp_path))
        why = f"{LABELS} is there, but the gzipped file as published is needed"
        assert str(error.value) == f"{KEY}: {tmp_path} has no {lacks}; {why}; {allowed}"
    (tmp_path / f"{LABELS}.gz").touch()
    check_data(dataset, str(tmp_path))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_download_needs_no_files(name):
    check_data(datasets()[name], "download")
    assert datasets()[name].files("download") == []


@EVERY_KIND
def test_the_four_files_are_those_that_are_read(tmp_path, kind):
    dataset = make(tmp_path, kind)
    expected = [in_folder(dataset, tmp_path, name) for name in dataset.checksums]
    assert dataset.files(str(tmp_path)) == expected
    expected[-1].unlink()
    assert dataset.files(str(tmp_path))[-1] == tmp_path / f"{LABELS}.gz"


def test_the_unpacked_file_counts_where_there_are_both(tmp_path):
    """As before data sets were plug-ins; where the checksum is of the .gz file, that one counts."""
    files = contents()
    for kind, suffix in (("content, gzipped", ""), ("MD5 of the .gz", ".gz")):
        dataset = make(tmp_path, kind, files)
        (tmp_path / LABELS).write_bytes(files[LABELS])
        assert dataset.files(str(tmp_path))[-1] == tmp_path / f"{LABELS}{suffix}"


def test_shipped_files_are_found_where_the_data_set_says():
    assert MNIST.files("shipped") == [Path(f"resources/mnist/{name}.gz") for name in MNIST.checksums]
    assert all(path.is_file() for path in replace(MNIST, shipped=str(SHIPPED)).files("shipped"))

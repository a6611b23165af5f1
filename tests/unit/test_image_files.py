import dataclasses
import gzip
import hashlib
import pickle
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.small_dataset import EVERY_KIND, LABELS, TRAIN_IMAGES, contents, in_folder, make, refused
from twinbench.data.dataset import datasets
from twinbench.data.images import read_verified
from twinbench.files import DataError

SHIPPED = ROOT / "resources/mnist"
MNIST = datasets()["mnist"]


def checksum(dataset, content: bytes) -> str:
    return hashlib.new(dataset.algorithm, content).hexdigest()


@EVERY_KIND
@pytest.mark.parametrize("name", contents())
def test_altered_file_names_file_and_both_checksums(tmp_path, kind, name):
    dataset = make(tmp_path / "files", kind)
    path = in_folder(dataset, tmp_path / "files", name)
    packed = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    content[16] ^= 1
    path.write_bytes(gzip.compress(content) if packed else content)
    found = checksum(dataset, path.read_bytes() if dataset.checksum_of == "gz" else content)
    label = "MD5" if dataset.algorithm == "md5" else "SHA-256"
    label += " (unpacked)" if packed and dataset.checksum_of == "content" else ""
    expected = f"{path}: truncated or altered; {label} {found}, expected {dataset.checksums[name]}"
    assert refused(dataset, tmp_path / "files", tmp_path) == expected


@EVERY_KIND
def test_truncated_file_names_file_and_both_checksums(tmp_path, kind):
    dataset = make(tmp_path / "files", kind)
    path = in_folder(dataset, tmp_path / "files", LABELS)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    message = refused(dataset, tmp_path / "files", tmp_path)
    assert message.startswith(f"{path}: ")
    assert checksum(dataset, half) in message
    assert dataset.checksums[LABELS] in message


@pytest.mark.parametrize("position", [0, 500, 2000, -3])
def test_a_damaged_gzip_stream_names_file_and_both_checksums(tmp_path, position):
    """Header, compressed data and trailer: each damage is another error of Python's."""
    folder = tmp_path / "mnist"
    shutil.copytree(SHIPPED, folder)
    path = folder / f"{LABELS}.gz"
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    message = refused(MNIST, folder, tmp_path)
    assert f"{LABELS}.gz: " in message
    assert MNIST.checksums[LABELS] in message
    assert message.count("SHA-256") == 1


@pytest.mark.parametrize("kind", ["content, gzipped", "MD5 of the .gz"])
def test_no_damaged_byte_of_a_gzip_file_goes_unnoticed(tmp_path, kind):
    files = contents()
    dataset = make(tmp_path / "files", kind, files)
    path = tmp_path / f"files/{LABELS}.gz"
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            # Where the content counts, the header's date and system do not.
            assert read_verified(dataset, tmp_path / "files", LABELS) == files[LABELS]
            assert dataset.checksum_of == "content"
            assert position in range(4, 10)
        except DataError as error:
            message = str(error)
            assert message.startswith(f"{path}: ")
            assert message.endswith(
                (dataset.checksums[LABELS], f"{dataset.checksums[LABELS]} is expected once unpacked")
            )
            assert len(message.splitlines()) == 1


@EVERY_KIND
def test_missing_file_is_named(tmp_path, kind):
    dataset = make(tmp_path / "files", kind)
    in_folder(dataset, tmp_path / "files", LABELS).unlink()
    label = "MD5" if dataset.algorithm == "md5" else "SHA-256"
    also = f", nor {LABELS} beside it; {label} (unpacked)" if dataset.checksum_of == "content" else f"; {label}"
    assert refused(dataset, tmp_path / "files", tmp_path) == (
        f"{tmp_path}/files/{LABELS}.gz: no such file{also} none, expected {dataset.checksums[LABELS]}"
    )


@EVERY_KIND
def test_a_folder_in_place_of_a_file_is_no_file(tmp_path, kind):
    dataset = make(tmp_path / "files", kind)
    path = in_folder(dataset, tmp_path / "files", LABELS)
    path.unlink()
    path.mkdir()
    assert f"{LABELS}.gz: no such file" in refused(dataset, tmp_path / "files", tmp_path)


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    dataset = make(tmp_path / "files")

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)  # root may read everything
    with pytest.raises(
        DataError,
        match=rf"{LABELS}: not readable \(.*Permission denied.*\); expected: SHA-256 {dataset.checksums[LABELS]}$",
    ):
        read_verified(dataset, tmp_path / "files", LABELS)


def test_an_unpacked_file_does_not_do_where_the_checksum_is_of_the_gzipped_one(tmp_path):
    files = contents()
    dataset = make(tmp_path / "files", "MD5 of the .gz", files)
    (tmp_path / f"files/{LABELS}.gz").unlink()
    (tmp_path / f"files/{LABELS}").write_bytes(files[LABELS])
    assert refused(dataset, tmp_path / "files", tmp_path) == (
        f"{tmp_path}/files/{LABELS}: unpacked, MD5 {hashlib.md5(files[LABELS]).hexdigest()}; the gzipped {LABELS}.gz as "
        f"published is needed, MD5 {dataset.checksums[LABELS]}, since no checksum of the unpacked file is known"
    )


def test_files_of_the_same_content_gzipped_anew_are_not_those_published(tmp_path):
    files = contents()
    dataset = make(tmp_path / "files", "MD5 of the .gz", files)
    (tmp_path / f"files/{LABELS}.gz").write_bytes(gzip.compress(files[LABELS], mtime=1))
    assert "truncated or altered; MD5 " in refused(dataset, tmp_path / "files", tmp_path)


@EVERY_KIND
def test_a_file_that_is_no_gzip_file(tmp_path, kind):
    files = contents()
    dataset = make(tmp_path / "files", kind, files)
    path = in_folder(dataset, tmp_path / "files", LABELS)
    path.write_bytes(b"<html>Not Found</html>")
    message = refused(dataset, tmp_path / "files", tmp_path)
    assert message.startswith(f"{path}: ")
    assert checksum(dataset, b"<html>Not Found</html>") in message
    assert dataset.checksums[LABELS] in message
    said = (
        "not a whole gzip file (Not a gzipped file (b'<h'))"
        if kind in ("content, gzipped", "MD5 of the content")
        else "altered"
    )
    assert said in message


def test_a_declared_file_that_is_no_gzip_file(tmp_path):
    """Its checksum is right: the declaration itself is wrong."""
    dataset = make(tmp_path / "files", "MD5 of the .gz")
    (tmp_path / f"files/{LABELS}.gz").write_bytes(b"plain")
    md5 = hashlib.md5(b"plain").hexdigest()
    dataset = dataclasses.replace(dataset, checksums=dataset.checksums | {LABELS: md5})
    assert refused(dataset, tmp_path / "files", tmp_path) == (
        f"{tmp_path}/files/{LABELS}.gz: not a whole gzip file (Not a gzipped file (b'pl')); MD5 {md5}, expected {md5}"
    )


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@EVERY_KIND
@pytest.mark.parametrize("declared", [False, True], ids=["altered", "as declared"])
def test_a_pickle_is_refused_and_not_run(tmp_path, kind, declared):
    """Not even where its checksum is the declared one, nor where torchvision's class looks for pickles of old."""
    trap, trapped = pickle.dumps(Trap(tmp_path / "sprung")), tmp_path / "sprung"
    dataset = make(tmp_path / "files", kind)
    wrong = make(tmp_path / "files", kind, contents() | {TRAIN_IMAGES: trap})
    for file in (
        "processed/training.pt",
        "processed/test.pt",
        "KMNIST/processed/training.pt",
        "KMNIST/processed/test.pt",
    ):
        (tmp_path / "files" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / file).write_bytes(trap)
    message = refused(wrong if declared else dataset, tmp_path / "files", tmp_path)
    assert TRAIN_IMAGES in message
    assert ("are no whole IDX files of images and labels" if declared else "truncated or altered") in message
    assert not trapped.exists()
    pickle.loads(trap)
    assert trapped.exists(), "the trap works"

import pickle

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from twinbench.files import DataError, read_parquet, read_tensors, whole


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with whole(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists()
        unfinished.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with whole(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def garbage(path):
    path.write_bytes(b"\x00garbage" * 50)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [cut, garbage, remove])
def test_damaged_parquet_is_named(tmp_path, damage):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": range(100)}).to_parquet(path)
    assert len(read_parquet(path)) == 100
    damage(path)
    with pytest.raises(DataError, match=r"table.parquet: not a whole Parquet file .*run again") as error:
        read_parquet(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [cut, garbage, remove])
def test_damaged_tensors_are_named(tmp_path, damage):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(30)}, path)
    assert read_tensors(path)["a"].sum() == 30
    damage(path)
    with pytest.raises(DataError, match=r"weights.safetensors: not a whole safetensors file") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(DataError, match="not a whole safetensors file"):
        read_tensors(path)
    assert not (tmp_path / "harm").exists()


def test_a_missing_tensor_is_refused(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="weights.safetensors"):
        read_tensors(tmp_path / "weights.safetensors", ["b"])

"""Run records: what is written is read, records of other versions too; a damaged one is named in one line."""

import json

import pandas as pd
import pytest

from twinbench.files import DataError
from twinbench.training.record import Ended, Record

ENDED = [Ended(0, "all", "ok", "done", 3, 2, 1.5), Ended(1, "3", "diverged", "not finite", 1, 0, 0.5)]
RECORD = Record(
    study="s", model="m", trainings=ENDED, parameters=5, flops=10, device="cpu", threads=1, strategy="Replicas",
    initial_weights="random", data_seconds=0.4, evaluate_seconds=0.2, environment={"torch": "2.9", "system": "Linux"},
)  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """The content of a record's file, and a function that writes a changed one and returns its path."""
    RECORD.write(tmp_path / "record.json")
    content = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))

    def write(changed):
        path = tmp_path / "record.json"
        path.write_text(changed if isinstance(changed, str) else json.dumps(changed), encoding="utf-8")
        return path

    return content, write


def test_what_is_written_is_read(tmp_path):
    RECORD.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == RECORD


def test_a_record_from_before_newer_fields(written):
    content, write = written
    needed = ("study", "model", "trainings", "parameters")
    old = Record.read(write({key: content[key] for key in needed}))
    assert old.trainings == ENDED
    assert {vars(old)[key] for key in vars(old) if key not in needed} == {None}
    rows = old.rows()
    assert rows["parameters"].tolist() == [5, 5]
    assert rows["data_seconds"].isna().all()
    joined = pd.concat([rows, RECORD.rows()], ignore_index=True)
    assert joined["torch"].isna().tolist() == [True, True, False, False]


def test_fields_that_are_no_longer_known_are_left_out(written):
    content, write = written
    assert Record.read(write(content | {"host": "laptop", "axes": {"rounds": "0-1"}})) == RECORD
    trainings = [ended | {"hours": 1} for ended in content["trainings"]]
    assert Record.read(write(content | {"trainings": trainings})) == RECORD


def test_rows_name_the_cell_and_share_the_jobs_seconds():
    rows = RECORD.rows()
    assert rows[["study", "model", "fold", "round", "status", "reason"]].to_numpy().tolist() == [
        ["s", "m", "all", 0, "ok", "done"],
        ["s", "m", "3", 1, "diverged", "not finite"],
    ]
    assert rows["train_seconds"].tolist() == [1.5, 0.5]
    assert rows["data_seconds"].tolist() == [0.2, 0.2]
    assert rows["evaluate_seconds"].tolist() == [0.1, 0.1]
    assert rows["torch"].tolist() == ["2.9", "2.9"]


DAMAGED = {
    "empty": lambda content: "",
    "cut": lambda content: json.dumps(content)[:60],
    "lines": lambda content: "{\n\n'a': 1\n}",
    "a list": lambda content: [1],
    "a number": lambda content: 3,
    "nothing": lambda content: "null",
    "no parameters": lambda content: {key: content[key] for key in content if key != "parameters"},
    "no model": lambda content: {key: content[key] for key in content if key != "model"},
    "no trainings": lambda content: {key: content[key] for key in content if key != "trainings"},
    "trainings are a number": lambda content: content | {"trainings": 3},
    "trainings are numbers": lambda content: content | {"trainings": [3]},
    "a training without status": lambda content: content | {"trainings": [{"round": 0, "fold": "all"}]},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_named_in_one_line(written, damage):
    content, write = written
    path = write(damage(content))
    with pytest.raises(DataError) as error:
        Record.read(path)
    assert str(error.value).startswith(f"{path}: not a whole run record (")
    assert str(error.value).endswith("delete it and run again")
    assert len(str(error.value).splitlines()) == 1


def test_bytes_and_a_missing_file_are_named_in_one_line(tmp_path):
    (tmp_path / "record.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "record.json", tmp_path / "nowhere.json"):
        with pytest.raises(DataError, match="not a whole run record") as error:
            Record.read(path)
        assert str(error.value).startswith(f"{path}: ")
        assert len(str(error.value).splitlines()) == 1

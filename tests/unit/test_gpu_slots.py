"""GPU slots with processes of their own, on a machine that need not have a GPU."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from twinbench.gpu_slots import VISIBLE, claim_gpu

HOLD = textwrap.dedent("""
    import os, sys, time
    from pathlib import Path
    from twinbench.gpu_slots import claim_gpu
    taken = claim_gpu(int(sys.argv[1]), Path(sys.argv[2]), poll=0.02)
    print(taken, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.read()
""")


@pytest.fixture
def start(tmp_path):
    started = []

    def start(count):
        environment = {key: value for key, value in os.environ.items() if key != VISIBLE}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(count), str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_jobs_get_different_gpus(start):
    taken = [start(3).stdout.readline().split() for _ in range(3)]
    assert sorted(index for index, _ in taken) == ["0", "1", "2"]
    assert all(index == visible for index, visible in taken)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_slot_of_a_dead_owner_is_free_again(start, end):
    owner = start(1)
    assert owner.stdout.readline().split()[0] == "0"
    waiting = start(1)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=0.5)  # it waits for the only GPU
    owner.send_signal(end)
    assert waiting.stdout.readline().split() == ["0", "0"]


def test_a_schedulers_choice_stands(monkeypatch, tmp_path):
    monkeypatch.setenv(VISIBLE, "5")
    assert claim_gpu(8, tmp_path) is None
    assert os.environ[VISIBLE] == "5"
    assert list(tmp_path.iterdir()) == []


def test_without_gpus_nothing_happens(monkeypatch, tmp_path):
    monkeypatch.delenv(VISIBLE, raising=False)
    assert claim_gpu(0, tmp_path) is None
    assert VISIBLE not in os.environ

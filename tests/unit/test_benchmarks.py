"""The benchmark's plain loop does the same work as ours, and its tables add up."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import gpu, page, shares
from benchmarks.plain import PlainLoop, called_twice
from benchmarks.scaling import COLOURS
from benchmarks.speed import BOTH
from benchmarks.studies import STUDIES, every_model, studies, task_of
from benchmarks.tables import number, spread
from benchmarks.work import pair_flops
from tests.conftest import ROOT
from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import forward_flops
from twinbench.architectures.twin import Twin
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import loss_parts, weighted
from twinbench.training.record import Ended, Record
from twinbench.training.replicas import LoopReplicas, ReplicaSeeds
from twinbench.training.tuned import tune

# Those that torch.nn and autograd train.
NAMES = sorted(name for name, entry in architectures().items() if not entry.strategy)


def draw(pairs: int) -> Split:
    """Pairs of noise with digits at random."""
    generator = torch.Generator().manual_seed(0)
    digits = torch.randint(10, (pairs, 2), generator=generator)
    images = torch.randn(pairs, 2, 14, 14, generator=generator)
    return Split(images, (digits[:, 0] <= digits[:, 1]).long(), digits)


def build(architecture: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return architectures()[architecture].build()


@pytest.mark.parametrize("architecture", NAMES)
def test_plain_net_has_the_same_gradients_as_the_tuned_one(architecture):
    """In evaluation mode: in training, the plain net's batch norm sees each side alone, and dropout draws otherwise."""
    split, losses, gradients = draw(8), [], []
    for net in (tune(build(architecture)).eval(), called_twice(build(architecture)).eval()):
        loss = weighted(
            loss_parts(net(split.inputs), split.target, split.digits), dict.fromkeys(net_heads(net, split), 1)
        )
        loss.sum().backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert not any(isinstance(module, Twin) for module in net.modules())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5 * gradients[0].abs().max().item())


def net_heads(net: torch.nn.Module, split: Split) -> list[str]:
    with torch.no_grad():
        return list(net(split.inputs[:1]))


@pytest.mark.parametrize(
    "name", ["dense-vs-conv/dense-shared-auxiliary-batch-50", "dense-vs-conv/conv-shared", "transfer/baseline"]
)
def test_plain_loop_learns_what_ours_does(name):
    """Nets without batch norm and dropout, two epochs with the same batches: the same losses and accuracies."""
    cell, splits = task_of(name).cell, {"train": draw(100), "test": draw(20)}
    seeds = [ReplicaSeeds(weights=0, epoch=lambda epoch: epoch)]
    build_model = task_of(name).build
    ours = LoopReplicas(build_model, [splits], seeds, cell.training, cell.objective, cell.decision)
    torch.manual_seed(0)
    theirs = PlainLoop(build_model(), splits, cell)
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        batches = splits["train"].take(torch.randperm(100))
        shuffled = TensorDataset(batches.inputs, batches.target, batches.digits)
        theirs.batches = DataLoader(shuffled, cell.training.batch_size)
        theirs.train_epoch(epoch)
        ours.train_epoch(epoch, np.ones(1, dtype=bool))
        for split, score in theirs.evaluate(epoch).items():
            (expected,) = ours.evaluate(split, epoch, np.ones(1, dtype=bool))
            assert score["loss"] == pytest.approx(expected["loss"], rel=1e-4)
            assert score["accuracy"] == pytest.approx(expected["accuracy"])


def test_every_study_is_measured():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    assert sorted([*STUDIES, "disc"]) == sorted(config["studies"])  # which benchmarks.scratch measures
    assert {f"{name}/{model}" for name, study in studies().items() for model in study.models} == {
        *every_model(),
        "dense-vs-conv/scratch",
    }
    assert set(BOTH) <= set(every_model())
    assert set(COLOURS) <= set(every_model())


@pytest.fixture
def finished(tmp_path):
    """A run of two training jobs and a figure: 10 s with 2 of start-up, 20 s with 5; 3 s."""
    cells = {"a/m/fold-all/rounds-0-1": (10.0, [3.0, 3.0], 1.0, 1.0), "b/n/fold-0/rounds-0-0": (20.0, [10.0], 4.0, 1.0)}
    for cell, (seconds, train, evaluate, data) in cells.items():
        ended = [Ended(round_, "ok", "", 1, 1, of_round) for round_, of_round in enumerate(train)]
        record = Record(cell[0], cell[2], "all", ended, 5, data_seconds=data, evaluate_seconds=evaluate)
        write(tmp_path / f"cells/{cell}/record.json", "")
        record.write(tmp_path / f"cells/{cell}/record.json")
        write(tmp_path / f"benchmarks/train/{cell}.tsv", f"s\tmax_rss\n{seconds}\t700\n")
    write(tmp_path / "benchmarks/figures/a/rounds.tsv", "s\tmax_rss\n3\t200\n")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_gpu_script_runs_on_a_processor():
    device = torch.device("cpu")
    rows = gpu.measure(rounds=2, pairs=20, epochs=1, repetitions=2, device=device)
    assert rows.groupby("way").size().to_dict() == {"loop": 2, "stacked": 2}
    assert (rows[["train", "evaluate"]] > 0).all(axis=None)
    assert "20 training and as many test pairs, 1 epochs, on CPU (" in gpu.text(rows, device)


def test_shares_of_a_run(finished):
    jobs, others = shares.training_jobs(finished), shares.other_jobs(finished)
    assert jobs["startup"].tolist() == [2, 5]
    assert others.to_dict("records") == [{"rule": "figures", "seconds": 3.0, "max_rss": 200.0}]
    assert shares.share_row("all", jobs) == ["all", 2, "30.0", "7.00", "2.00", "16.0", "5.00", "23.3%", "700"]


def test_wall_time_is_known_only_of_a_run_that_made_everything(finished):
    jobs, logs = shares.training_jobs(finished), finished / "logs"
    lines = [f"    benchmark: {benchmark}" for benchmark in jobs["benchmark"]]
    end = ["Provided cores: 2", "Elapsed time: 0:01:03.5"]
    write(logs / "1.snakemake.log", "\n".join([lines[0], *end]))
    assert shares.whole_run(jobs, logs) is None
    assert "not known" in shares.wall_sentence(jobs, None)
    write(logs / "2.snakemake.log", "\n".join([*lines, *end]))
    assert shares.whole_run(jobs, logs) == (63.5, 2)
    assert "63.5 s on 2 cores (n = 1): 6.05 times" in shares.wall_sentence(jobs, (63.5, 2))


def test_resumed_jobs_are_left_out(finished):
    write(finished / "benchmarks/train/a/m/fold-all/rounds-0-1.tsv", "s\tmax_rss\n4\t700\n")
    assert shares.training_jobs(finished)["study"].tolist() == ["b"]


def test_tables_go_to_their_places():
    text = "a\n<!-- speed -->\nold\n<!-- end of speed -->\nb\n"
    filled = page.fill(text, {"speed": "| 1 |"})
    assert filled == "a\n<!-- speed -->\n\n| 1 |\n\n<!-- end of speed -->\nb\n"
    assert page.fill(filled, {"speed": "| 1 |"}) == filled
    with pytest.raises(ValueError, match="no place for the table gpu"):
        page.fill(text, {"gpu": "| 1 |"})


def test_numbers_keep_their_digits():
    assert [number(value) for value in (0.01234, 1.0, 99.94, 123.4, 12345.6)] == [
        "0.0123",
        "1.00",
        "99.9",
        "123",
        "12,346",
    ]
    assert spread(pd.Series([3.0, 1.0, 2.0])) == "2.00 (1.50 to 2.50)"
    assert spread(pd.Series([3.0])) == "3.00"


@pytest.mark.parametrize("architecture", NAMES)
def test_work_is_what_the_result_needs(architecture):
    """No more than the package's count; without padding, the same."""
    (needed, step), counted = pair_flops(build(architecture)), forward_flops(build(architecture), draw(1).inputs)
    assert 2 * needed < step < 3 * needed  # only the first layer needs no gradient of what goes in
    padded = any(getattr(module, "padding", (0, 0)) != (0, 0) for module in convolutions(build(architecture)))
    assert needed < counted if padded else needed == counted


def convolutions(net):
    return [module for module in net.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]


def test_work_of_a_padded_convolution():
    """A 3×3 filter on 14×14 pixels meets (14·3 − 2)² of the (14·3)² pixels with its taps; 2 channels, 5 filters."""
    net = torch.nn.Conv2d(2, 5, 3, padding=1)
    assert pair_flops(net) == (2 * 2 * 5 * 40**2, 2 * 2 * 2 * 5 * 40**2)

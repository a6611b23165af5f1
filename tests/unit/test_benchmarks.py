"""The benchmarks' plain loops do the same work as ours, their layers alone are those of a step, and tables add up."""

import os
from dataclasses import replace

import pandas as pd
import pytest
import torch
import yaml

from benchmarks import page, shares
from benchmarks.plain import PlainLoop, PlainScratch
from benchmarks.speed import CHOICES, CHOSEN, COMPARED, ways_of
from benchmarks.tasks import STUDIES, models, task_of
from benchmarks.timing import MOST, by_way, interleaved, own_processes
from benchmarks.trainers import Ours
from benchmarks.work import Convolutions, pair_flops
from tests.conftest import ROOT
from tests.unit.turns import counting
from twinbench.architectures.catalog import architectures
from twinbench.architectures.cost import forward_flops
from twinbench.tasks.tensors import Split
from twinbench.training.objectives import loss_parts, weighted
from twinbench.training.record import Ended, Record

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


NEW = {
    "objective": {"target": 0, "phases": [{"target": 1, "share": 0.5} | new for new in ({}, {"new_optimizer": True})]}
}


@pytest.mark.parametrize("protocol", COMPARED)
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dense-vs-conv/dense-shared-auxiliary-batch-50", {}), ("dense-vs-conv/conv-shared", {}),
        ("transfer/baseline", {}), ("transfer/baseline", NEW), ("dense-vs-conv/scratch", {}),
    ],
    ids=["dense", "convolutional", "pair", "new optimizer", "scratch"],
)  # fmt: skip
def test_plain_loops_learn_what_ours_does(name, changes, protocol):
    """Models without batch norm and dropout, two epochs with the same batches: the same losses and accuracies."""
    stopping = {"training": {"epochs": 2, "early_stopping": {"patience": 9}}}  # so that something is evaluated
    task = task_of(name).changed(COMPARED[protocol][1]).changed(stopping).changed(changes)
    splits = {"train": draw(100), "validation": draw(20), "test": draw(30)}
    torch.manual_seed(0)
    theirs, ours = (
        PlainLoop(task, splits, loader=False),
        Ours(task.strategy(), task, [splits]),
    )  # a loader draws otherwise
    for epoch in (1, 2):
        torch.manual_seed(epoch)  # as `Ours` seeds the epochs of its first replica
        theirs.train_epoch(epoch)
        ours.train_epoch(epoch)
        scores, expected = theirs.evaluate(epoch), ours.evaluate(epoch)
        assert set(scores) == set(expected) == {"validation", *(["train", "test"] if protocol == "authors" else [])}
        for split, (loss, accuracy) in scores.items():
            assert loss == pytest.approx(expected[split][0]["loss"], rel=1e-4)
            assert accuracy == pytest.approx(expected[split][0]["accuracy"])


@pytest.mark.parametrize("name", models())
def test_the_plain_loop_knows_the_options_of_every_model(name):
    cell = task_of(name).cell
    known = {"epochs", "batch_size", "optimizer", "early_stopping", "scaling", "shuffle", "branch"}
    assert known.issuperset(cell.training.model_dump(exclude_defaults=True))
    assert {phase.digit_images for phase in cell.objective.in_turn} == {"both"}


def test_a_loader_gives_every_pair_once():
    split = draw(7)
    loop = PlainLoop(task_of("transfer/baseline"), {"train": split}, loader=True)
    batches = list(loop.batches(split, 3, shuffle=True))
    assert [len(target) for _, target, _ in batches] == [3, 3, 1]
    firsts = torch.cat([pairs for pairs, _, _ in batches])[:, 0, 0, 0]
    assert torch.equal(firsts.sort().values, split.inputs[:, 0, 0, 0].sort().values)


def test_plain_scratch_model_has_the_same_answers():
    model = build("scratch-pairs")
    pairs = draw(5).inputs
    torch.testing.assert_close(PlainScratch(model.net)(pairs)["target"], model(pairs)["target"])


def test_every_study_is_measured():
    """Without sweeps; of the models those as described: not as run, and none that tries to explain published values."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    assert sorted(STUDIES) == sorted(config["studies"])
    assert {name.split("/")[0] for name in models()} == set(STUDIES)
    assert set(CHOSEN) <= set(models())
    assert {"dense-vs-conv/conv-shared-as-run", "siamese-resnets/convnet-patience-5"}.isdisjoint(models())


def test_ways_of_a_model():
    """Every way of the tables is measured, and a comparison has the same task on both sides."""
    ways = ways_of(task_of(CHOSEN[0]), choices=True)
    assert set(ways) == {*COMPARED, *(ours for ours, _ in COMPARED.values()), *CHOICES}
    for theirs, (ours, _) in COMPARED.items():
        assert ways[theirs].args[1] == ways[ours].args[1]
    training, curves = (getattr(ways["textbook"].args[1].cell, name) for name in ("training", "curves"))
    assert (training.branch, training.shuffle, curves.splits) == ("pair", True, [])
    assert ways["branch"].args[1].cell.training.branch == ways["authors"].args[1].cell.training.branch == "image"


def test_a_task_loads_and_evaluates_what_a_job_does():
    """Of the disc, which needs no images: curves without validation pairs, or stopping without curves."""
    task = replace(task_of("disc/relu"), rounds=2)
    assert [list(splits) for splits in task.load()] == [["train", "test"]] * 2
    stopping = {"training": {"early_stopping": {"patience": 9}}}
    examples = task.examples | {"counts": {"train": 10, "validation": 5, "test": 5}}
    task = replace(task.changed(COMPARED["textbook"][1]).changed(stopping), examples=examples)
    (first, _) = task.load()
    assert list(first) == ["train", "validation"]
    assert task.evaluated == ["validation"]


def test_ways_take_turns_after_warming_up():
    rows = interleaved({"a": counting(), "b": counting()}, 3)
    assert rows["way"].tolist() == ["a", "b"] * 3
    assert rows["seconds"].tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert rows["turn"].tolist() == [2, 2, 3, 3, 4, 4]
    assert by_way(rows)["a"].tolist() == [0, 0.5, 1]
    assert len(interleaved({"a": counting()}, 1, at_least=60)) == MOST


def test_each_way_has_a_process_of_its_own():
    with own_processes({"a": counting, "b": counting}) as runs:
        rows = interleaved(runs, 2)
    assert rows["turn"].tolist() == [2, 2, 3, 3]
    assert len({*rows["process"], os.getpid()}) == 3
    assert rows.groupby("way")["process"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize(("branch", "calls"), [("image", 4), ("pair", 2)])
def test_convolutions_alone_are_those_of_a_step(branch, calls):
    """Their gradients of the weights add up to those of the step; a shared branch has two convolutions."""
    split, task = draw(5), task_of("dense-vs-conv/conv-shared").changed({"training": {"branch": branch}})
    model = task.build()

    def step() -> None:
        weighted(loss_parts(model(split.inputs), split.target, split.digits), {"target": 1.0}).sum().backward()

    found = Convolutions(model, step)
    assert len(found.calls) == calls
    layers = {layer for layer, *_ in found.calls}
    for layer in layers:
        parts = [
            torch.autograd.grad(layer(x), layer.weight, gradient)[0]
            for of, x, _, gradient in found.calls
            if of is layer
        ]
        torch.testing.assert_close(sum(parts), layer.weight.grad)
    assert [flows for _, _, flows, _ in found.calls].count(False) == len(found.calls) / 2  # images need no gradient
    before = [layer.weight.grad.clone() for layer in layers]
    found.run()
    assert all(torch.equal(layer.weight.grad, kept) for layer, kept in zip(layers, before, strict=True))


@pytest.fixture
def finished(tmp_path):
    """A run of two training jobs and a figure: 10 s with 2 of start-up, 20 s with 5; 3 s."""
    cells = {"a/m/rounds-0-1": (10.0, [3.0, 3.0], 1.0, 1.0), "b/n/rounds-0-0": (20.0, [10.0], 4.0, 1.0)}
    for cell, (seconds, train, evaluate, data) in cells.items():
        ended = [Ended(round_, "all", "ok", "", 1, 1, of_round) for round_, of_round in enumerate(train)]
        record = Record(cell[0], cell[2], ended, 5, data_seconds=data, evaluate_seconds=evaluate)
        write(tmp_path / f"cells/{cell}/record.json", "")
        record.write(tmp_path / f"cells/{cell}/record.json")
        write(tmp_path / f"benchmarks/train/{cell}.tsv", f"s\tmax_rss\n{seconds}\t700\n")
    write(tmp_path / "benchmarks/figures/a/rounds.tsv", "s\tmax_rss\n3\t200\n")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_shares_of_a_run(finished):
    jobs = shares.jobs_of(finished)
    training = jobs[jobs["rule"] == "train"]
    assert training["startup"].tolist() == [2, 5]
    assert shares.share_row("all", training) == ["all", 2, "30.0", "7.00", "2.00", "16.0", "5.00", "700"]
    assert shares.share_row("figures", jobs[jobs["rule"] == "figures"]) == ["figures", 1, "3.00", *["–"] * 4, "200"]


def test_wall_time_is_known_only_of_a_run_that_made_everything(finished):
    jobs, logs = shares.jobs_of(finished), finished / "logs"
    lines = [f"    benchmark: {benchmark}" for benchmark in jobs["benchmark"]]
    end = ["Provided cores: 2", "Elapsed time: 0:01:03.5"]
    write(logs / "1.snakemake.log", "\n".join([lines[0], *end]))
    assert "not known" in shares.whole_run(jobs, logs)
    write(logs / "2.snakemake.log", "\n".join([*lines, *end]))
    assert shares.whole_run(jobs, logs) == "The whole workflow took 63.5 s on 2 cores (n = 1)."


def test_resumed_jobs_are_left_out(finished):
    write(finished / "benchmarks/train/a/m/rounds-0-1.tsv", "s\tmax_rss\n4\t700\n")
    assert shares.jobs_of(finished)["study"].dropna().tolist() == ["b"]


def test_texts_go_to_their_places():
    text = "a\n<!-- speed -->\nold\n<!-- end of speed -->\nb\n"
    filled = page.fill(text, "speed", "| 1 |")
    assert filled == "a\n<!-- speed -->\n\n| 1 |\n\n<!-- end of speed -->\nb\n"
    assert page.fill(filled, "speed", "| 1 |") == filled
    with pytest.raises(ValueError, match="no place for gpu"):
        page.fill(text, "gpu", "| 1 |")


def test_every_benchmark_has_its_place():
    for name, path in page.PAGES.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert page.fill(text, name, "| 1 |") != text


def test_numbers_keep_their_digits():
    numbers = [page.number(value) for value in (0.01234, 1.0, 99.94, 123.4, 12345.6)]
    assert numbers == ["0.0123", "1.00", "99.9", "123", "12,346"]
    assert page.spread(pd.Series([3.0, 1.0, 2.0])) == "2.00 (1.50 to 2.50)"
    assert page.spread(pd.Series([3.0])) == "3.00"


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

# What the rules of the from-scratch study, and the report, ask about it; `scratch` is its plan, None where it is off.

import sys

from twinbench.config.loading import load_scratch
from twinbench.config.reading import ConfigError
from twinbench.figures.catalog import disc_captions
from twinbench.scratch.planning import ScratchPlan

try:
    scratch = ScratchPlan(plan.config, load_scratch(plan.config)) if plan.config.scratch else None
except ConfigError as error:
    sys.exit(str(error))

SCRATCH = f"{RESULTS}/scratch"
SCRATCH_POINTS = f"{SCRATCH}/points/rounds-{{rounds}}.parquet"
SCRATCH_PAIRS = f"{SCRATCH}/pairs/rounds-{{rounds}}.parquet"
SCRATCH_CELL = f"{SCRATCH}/cells/{{net}}/rounds-{{rounds}}"
SCRATCH_LOG = f"{LOGS}/scratch/train/{{net}}/rounds-{{rounds}}.log"
SCRATCH_FIGURE = f"{RESULTS}/figures/scratch/{{disc_figure}}.png"

# A partial report takes in what there is of the other studies, but of this one the whole or nothing.
scratch_missing = []
if scratch and plan.config.partial:
    scratch_missing = scratch.missing(f"{SCRATCH_CELL}/record.json")
    if scratch_missing:
        scratch = None


def of_scratch_cells(pattern):
    """The pattern for every training job of the study."""
    return [pattern.format(**cell) for cell in scratch.cells()]


def scratch_cell(wildcards):
    return scratch.cell(wildcards.net)


def scratch_rounds(wildcards):
    """First and last round of a block: the scripts need no more of the planning."""
    return list(map(int, wildcards.rounds.split("-")))


def disc_figure_code(wildcards):
    return code("scratch_figure.py", f"twinbench.figures.{wildcards.disc_figure}")


def disc_figure_caption(wildcards):
    return disc_captions()[wildcards.disc_figure]


def scratch_tables():
    """The tables that the report takes in; none if the study is off."""
    return [f"{SCRATCH}/{table}.parquet" for table in ("metrics", "cells")] if scratch else []


def scratch_figures():
    """The figures that the report takes in; none if the study is off."""
    return expand(SCRATCH_FIGURE, disc_figure=disc_captions()) if scratch else []


def missing_cells():
    """Training jobs that a partial report does without, of all studies."""
    of_scratch = [
        {"study": "scratch", "model": cell["net"], "fold": "all", "rounds": cell["rounds"]}
        | {"log": SCRATCH_LOG.format(**cell)}
        for cell in scratch_missing
    ]
    return [cell | {"log": TRAIN_LOG.format(**cell)} for cell in plan.missing] + of_scratch

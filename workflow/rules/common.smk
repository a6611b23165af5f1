# The plan, and the functions that the rules ask. Nothing here imports torch: planning is to stay fast.

import re
import sys
from importlib.metadata import version
from pathlib import Path

from twinbench.config.checks import check_data, check_pretrained, check_writable
from twinbench.config.loading import load_config, load_studies
from twinbench.config.reading import ConfigError
from twinbench.data.checksums import CHECKSUMS
from twinbench.figures.catalog import captions, figures
from twinbench.fingerprint import digest
from twinbench.planning import CONSTANT, Plan

try:
    _config = load_config(config)
    plan = Plan(_config, load_studies(_config))
    check_data(_config.data.source)
    check_pretrained(_config.pretrained)
    check_writable("results")
except ConfigError as error:
    sys.exit(str(error))

RESULTS = plan.results
DIGITS = "results/mnist/digits.safetensors"  # the same for every scale
PRETRAINED = "results/pretrained/{name}.safetensors"  # of every scale, too
PAIRS = f"{RESULTS}/pairs/{{study}}/rounds-{{rounds}}.parquet"
POINT_PAIRS = f"{RESULTS}/pairs/{{study}}/{{model}}/rounds-{{rounds}}.parquet"
CELL = f"{RESULTS}/cells/{{study}}/{{model}}/fold-{{fold}}/rounds-{{rounds}}"
PREDICTIONS = f"{RESULTS}/predictions/{{study}}/{{model}}.parquet"
FIGURE = f"{RESULTS}/figures/{{study}}/{{figure}}.png"
TRAIN_LOG = f"{RESULTS}/logs/train/{{study}}/{{model}}/fold-{{fold}}/rounds-{{rounds}}.log"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"

if plan.config.partial:
    plan = plan.partial(f"{CELL}/record.json")
    if not plan.studies:
        sys.exit(f"{RESULTS}: nothing to report on yet, no training has ended")


def any_of(names):
    """The pattern of a wildcard that is one of these names and nothing else."""
    return "|".join(sorted(map(re.escape, set(names))))


# A name that no study has fails at planning. The constant baseline is no model: it has a rule of its own.
wildcard_constraints:
    study=any_of([*plan.studies, *plan.sweeps]),
    model=any_of(model for study in [*plan.studies, *plan.sweeps] for model in plan.models(study)),
    fold=r"all|\d+",
    rounds=r"\d+-\d+",
    figure="|".join(figures()),


def code(script, *modules):
    """Digest of a script and of the package modules that it runs: an edit of those, and of no others, reruns the rule."""
    return digest(Path(workflow.basedir, "workflow/scripts", script), *modules)


def mnist_files(source):
    """The four official files in their folder; none where they are downloaded."""
    if source == "download":
        return []
    folder = Path("resources/mnist" if source == "shipped" else source)
    found = [[path for path in (folder / name, folder / f"{name}.gz") if path.exists()] for name in CHECKSUMS]
    return [paths[0].as_posix() for paths in found]


def pretrained_file(source):
    """The local file of pre-trained weights; none where they are downloaded."""
    return [] if source in ("random", "download") else source


def cell_pretrained(wildcards):
    """Input function: the pre-trained weights that the wildcards' model starts from, if any."""
    name = plan.pretrained(wildcards.study, wildcards.model)
    return PRETRAINED.format(name=name) if name else []


def cell_pairs(cell):
    """Input function: the pairs of one cell; a point of a sweep over their number has a table of its own."""
    names = dict(cell.items())
    own = plan.train_pairs(names["study"], names["model"])
    return (POINT_PAIRS if own else PAIRS).format(**names)


def pairs_of_cells(wildcards):
    """Input function: the pairs of every cell of the wildcards' study and model."""
    return [cell_pairs(cell) for cell in plan.cells(**dict(wildcards.items()))]


def of_cells(pattern):
    """Input function: the pattern for every cell of the wildcards' study, and of their model if they name one."""

    def paths(wildcards):
        return [pattern.format(**cell) for cell in plan.cells(**dict(wildcards.items()))]

    return paths


def of_blocks(pattern):
    """Input function: the pattern for every block of rounds of the wildcards' study."""

    def paths(wildcards):
        return expand(pattern, study=wildcards.study, rounds=plan.blocks(wildcards.study))

    return paths


def of_models(pattern, *others):
    """Input function: the pattern for every model of the wildcards' study, and for others: its constant baseline."""

    def paths(wildcards):
        return expand(pattern, study=wildcards.study, model=[*plan.models(wildcards.study), *others])

    return paths


def of_studies(pattern):
    """The pattern for every study."""
    return expand(pattern, study=plan.studies)


def of_plan(method):
    """Param function: what a method of the plan says of the wildcards' study, and of their model if they name one."""

    def slice_of_plan(wildcards):
        names = {name: wildcards[name] for name in ("study", "model") if name in wildcards.keys()}
        return method(**names)

    return slice_of_plan


def cell_code(script):
    """Param function: digest of a script with the one module of the model's architecture, and the version of torch."""

    def digest_of_cell(wildcards):
        return f"{code(script, plan.module(wildcards.study, wildcards.model))}, torch {version('torch')}"

    return digest_of_cell


def cell_gpus(wildcards):
    """GPUs that a cell asks for; Snakemake counts them only where --resources gpu=N sets a limit."""
    return 1 if plan.accelerator(wildcards.study, wildcards.model) == "gpu" else 0


def cell_memory(wildcards):
    """MB of a cell: torch and the data; for each round 9 float32 a parameter, which only large models notice.

    They are weights, best weights, gradient and two moments; all but the gradient once more as a checkpoint is written.
    """
    first, last = map(int, wildcards.rounds.split("-"))
    parameters = plan.architecture(wildcards.study, wildcards.model).parameters
    return 1500 + int(round((last - first + 1) * 9 * 4 * parameters / 1e6, -2))


def figure_code(wildcards):
    return code("figure.py", f"twinbench.figures.{wildcards.figure}")


def figure_caption(wildcards):
    return captions()[wildcards.figure]

# The studies, and the functions that the rules call. Nothing here imports torch, so that planning stays fast.

import re
import sys
from importlib.metadata import version
from pathlib import Path

from twinbench.config.checks import check_data, check_pretrained, check_writable
from twinbench.config.loading import load_config, load_studies, present
from twinbench.data.dataset import datasets
from twinbench.figures.catalog import captions, check_figures, figures
from twinbench.files import ConfigError
from twinbench.fingerprint import digest
from twinbench.spec.rounds import parse_rounds

try:
    CONFIG = load_config(config)
    STUDIES = load_studies(CONFIG)  # by name; a study's sweeps, which are studies too, follow it
    DATASET = datasets()[CONFIG.data.dataset]
    check_figures(STUDIES.values())
    if any(study.task == "pairs" for study in STUDIES.values()):
        check_data(DATASET, CONFIG.data.source)
    check_pretrained(CONFIG.pretrained)
    check_writable("results")
except ConfigError as error:
    sys.exit(str(error))

RESULTS = CONFIG.results
SCRIPTS = Path(workflow.current_basedir).parent / "scripts"
IMAGES = f"results/images/{DATASET.name}.safetensors"  # the same for every scale
PRETRAINED = "results/pretrained/{name}.safetensors"  # the same for every scale, too
EXAMPLES = f"{RESULTS}/examples/{{study}}/rounds-{{rounds}}.parquet"
CELL = f"{RESULTS}/cells/{{study}}/{{model}}/rounds-{{rounds}}"
PREDICTIONS = f"{RESULTS}/predictions/{{study}}.parquet"
STUDY_TABLE = f"{RESULTS}/studies/{{study}}/{{table}}.parquet"
TABLE = f"{RESULTS}/{{table}}.parquet"
FIGURE = f"{RESULTS}/figures/{{study}}/{{figure}}.png"
OVERVIEW = f"{RESULTS}/figures/overview.png"
LOGS = f"{RESULTS}/logs"
TRAIN_LOG = f"{LOGS}/train/{{study}}/{{model}}/rounds-{{rounds}}.log"
BENCHMARKS = f"{RESULTS}/benchmarks"
TORCH = version("torch")

MISSING = []  # training jobs that a partial report lacks
if CONFIG.partial:
    STUDIES, MISSING = present(STUDIES, CELL, PREDICTIONS)
    if not STUDIES:
        sys.exit(f"{RESULTS}: nothing to report on yet, no training has ended")

OF_PAIRS = [name for name, study in STUDIES.items() if study.task == "pairs" and not study.swept]
# The tables that a study has, and the studies that have them.
TABLES = dict.fromkeys(["metrics", "cells", "history"], list(STUDIES)) | dict.fromkeys(["errors", "hardest"], OF_PAIRS)
COLLECTED = [table for table in ("metrics", "cells", "history", "errors") if TABLES[table]]


def any_of(names):
    """The pattern of a wildcard that is one of these names and nothing else."""
    return "|".join(sorted(map(re.escape, set(names))))


# A name that no study has fails at planning.
wildcard_constraints:
    study=any_of(STUDIES),
    model=any_of(model for study in STUDIES.values() for model in study.models),
    rounds=r"\d+-\d+",
    figure=any_of(figures()),


def code(script, *modules):
    """Digest of a script and of the package modules that it runs: an edit of those, and of no others, reruns the rule."""
    return digest(SCRIPTS / script, *modules)


def study_of(wildcards):
    """The study that the wildcards name."""
    return STUDIES[wildcards.study]


def images_of(wildcards):
    """Input function: the images that the wildcards' study needs, if any."""
    return IMAGES if study_of(wildcards).task == "pairs" else []


def cell_pretrained(wildcards):
    """Input function: the pre-trained weights that the wildcards' model starts from, if any."""
    name = study_of(wildcards).architecture(wildcards.model).pretrained
    return PRETRAINED.format(name=name) if name and getattr(CONFIG.pretrained, name) != "random" else []


def of_cells(pattern):
    """Input function: the pattern for every cell of the wildcards' study."""

    def paths(wildcards):
        return [pattern.format(**cell) for cell in study_of(wildcards).cells()]

    return paths


def examples_of_study(wildcards):
    """Input function: the examples of every block of rounds of the wildcards' study."""
    return expand(EXAMPLES, study=wildcards.study, rounds=study_of(wildcards).blocks())


def examples_of_cell(wildcards):
    """Input function: the examples of the blocks that the wildcards' rounds lie in."""
    wanted = set(parse_rounds(wildcards.rounds))
    blocks = [block for block in study_of(wildcards).blocks() if not wanted.isdisjoint(parse_rounds(block))]
    return expand(EXAMPLES, study=wildcards.study, rounds=blocks)


def of_study(name, *names):
    """Param function: a property of the study, or the result of its method for the wildcards with these names."""

    def slice_of_study(wildcards):
        found = getattr(study_of(wildcards), name)
        return found(*(wildcards[name] for name in names)) if callable(found) else found

    return slice_of_study


def drawn(wildcards):
    """Param function: what the examples of the wildcards' study depend on."""
    return study_of(wildcards).draw(DATASET.train // 2)


def draw_code(wildcards):
    return code("draw.py", f"twinbench.tasks.{study_of(wildcards).task}")


def model_code(script):
    """Param function: digest of a script with what the wildcards' models run, and the version of torch."""

    def digest_of_models(wildcards):
        return f"{code(script, *study_of(wildcards).modules(wildcards.get('model')))}, torch {TORCH}"

    return digest_of_models


def cell_gpus(wildcards):
    """GPUs that a cell asks for; Snakemake counts them only where --resources gpu=N sets a limit."""
    return 1 if study_of(wildcards).models[wildcards.model].accelerator == "gpu" else 0


def cell_memory(wildcards):
    """MB of a cell: torch and the data, and 9 float32 per parameter and training, which matter for large models only.

    They are weights, best weights, gradient and two moments, and all but the gradient again in a checkpoint.
    """
    study, model = study_of(wildcards), wildcards.model
    trainings = study.trainings(model, parse_rounds(wildcards.rounds))
    return 1500 + int(round(trainings * 9 * 4 * study.parameters(model) / 1e6, -2))


def figure_tables(wildcards):
    """Input function: the tables that a figure draws from, by name."""
    tables, others = figures()[wildcards.figure].tables, {"predictions": PREDICTIONS}
    return {table: others.get(table, STUDY_TABLE).format(study=wildcards.study, table=table) for table in tables}


def figure_code(wildcards):
    return code("figure.py", f"twinbench.figures.{wildcards.figure}")


def figure_caption(wildcards):
    return captions()[wildcards.figure]


def figure_category(wildcards):
    """The section of the HTML report that shows a figure: its study; for a sweep, the parent study."""
    swept = study_of(wildcards).swept
    return swept.parent if swept else wildcards.study


def figure_labels(wildcards):
    swept = study_of(wildcards).swept
    return {"figure": f"sweep {swept.name}" if swept else wildcards.figure}

# What the rules of the sweeps ask.

SWEEPS = f"{RESULTS}/sweeps.parquet"
SWEEP_FIGURE = f"{RESULTS}/figures/{{study}}/sweeps/{{sweep}}.png"


wildcard_constraints:
    sweep=any_of(name.partition(".")[2] for name in plan.sweeps),


def of_sweep_cells(pattern):
    """Input function: the pattern for every cell of all sweeps of the wildcards' study."""

    def paths(wildcards):
        return [pattern.format(**cell) for cell in plan.sweep_cells(wildcards.study)]

    return paths


def sweep_of(wildcards):
    """Param function: what the plan says of the wildcards' sweep."""
    return plan.sweep(f"{wildcards.study}.{wildcards.sweep}")


def sweep_caption(wildcards):
    return captions()[sweep_of(wildcards)["figure"]]


def sweep_code(wildcards):
    return code("sweep_figure.py", f"twinbench.figures.{sweep_of(wildcards)['figure']}")


def sweep_tables():
    """The table that the report takes in; none if the sweeps are off."""
    return [SWEEPS] if plan.sweeps else []


def sweep_figures():
    """The figures that the report takes in; none if the sweeps are off."""
    return [SWEEP_FIGURE.format(study=study, sweep=sweep) for study, sweep in (name.split(".") for name in plan.sweeps)]

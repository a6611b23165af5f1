"""Every published value beside ours: whether it is reproduced, as described or as run, and how many are."""

import math
from dataclasses import asdict, dataclass

import pandas as pd

from twinbench.evaluation.verdicts import Measured, Verdict
from twinbench.metric import METRICS
from twinbench.spec.model import Model, PublishedValue
from twinbench.spec.study import Study

WIDE = 0.03  # half-width, as a share: almost any value fits into a wider interval
ROLES = ("described", "run", "tried")


@dataclass(frozen=True)
class Beside:
    """One of our models beside a published value: a row of reproduction.parquet."""

    study: str
    model: str  # the one that the value was published for
    metric: str
    split: str
    main: bool  # whether it is a published test result: an accuracy or an error on the test pairs
    published: float
    published_std: float  # sample standard deviation over the published rounds, or what is printed; NaN for none
    published_spread: str  # what is printed: std, variance, population or unknown
    by_eye: bool  # whether the published value was read from a figure
    published_n: int
    outcome: str  # of the published value (`outcome`), the same in all its rows
    role: str  # of our model: described, run or tried
    ours: str  # our model
    mean: float
    std: float
    n: int  # of our values
    low: float  # 95 % prediction interval for the published value; NaN without a verdict
    high: float
    half_width: float
    verdict: str  # reproduced, higher, lower or no verdict
    reason: str  # why there is no verdict


def reproduction(measured: Measured) -> pd.DataFrame:
    """Return the rows (`Beside`) of a study: for each published value those of the models that `beside` names."""
    study, rows = measured.study, []
    for model, entry in study.models.items():
        for published in entry.published.values:
            values = {name: _called_so(study.models[name], published) for name in beside(study, model)}
            verdicts = {name: measured.judge(name, value) for name, value in values.items()}
            rows += _rows(measured, model, published, values, verdicts)
    return pd.DataFrame(map(asdict, rows), columns=list(Beside.__dataclass_fields__))


def beside(study: Study, model: str) -> dict[str, str]:
    """Return the models that the published values of ``model`` judge, and the role of each."""
    runs = {name: "run" for name, other in study.models.items() if other.as_run_of == model}
    trials = {name: "tried" for name, other in study.models.items() if other.tries == model}
    return {model: "described"} | runs | trials


def outcome(described: Verdict, run: Verdict | None, missing: bool = False) -> str:
    """Return what came out of a published value: ``as described``, ``as run``, ``neither`` or ``no verdict``.

    If the model as described reproduces the value, no model as run is needed. The outcome is ``neither`` only if both
    were judged, and no results are ``missing``, as they are in a partial report.
    """
    if described.word == "reproduced":
        return "as described"
    if run and run.word == "reproduced":
        return "as run"
    unjudged = missing or "no verdict" in (described.word, run and run.word)
    return "no verdict" if unjudged else "neither"


def _called_so(model: Model, published: PublishedValue) -> PublishedValue:
    """Return a published value with the metric that the authors' code called by the name of the published one."""
    return published.model_copy(update={"metric": model.metrics.get(published.metric, published.metric)})


def _rows(
    measured: Measured, model: str, published: PublishedValue, values: dict[str, PublishedValue],
    verdicts: dict[str, Verdict],
) -> list[Beside]:  # fmt: skip
    roles, rows = beside(measured.study, model), []
    of_role = {role: verdicts[name] for name, role in roles.items()}
    found = outcome(of_role["described"], of_role.get("run"), missing=bool(measured.study.missing))
    for name, verdict in verdicts.items():
        ours = measured.summary(name, values[name].metric, published.split)
        (low, high), std = verdict.interval, published.deviation or published.std
        rows.append(Beside(
            study=measured.study.name, model=model, metric=published.metric, split=published.split,
            main=published.is_main, published=published.value, published_std=math.nan if std is None else std,
            published_spread=published.spread, published_n=published.n, by_eye=published.by_eye, outcome=found,
            role=roles[name], ours=name, mean=ours.mean, std=ours.std, n=ours.n, low=low, high=high,
            half_width=verdict.half_width, verdict=verdict.word, reason=verdict.reason,
        ))  # fmt: skip
    return rows


@dataclass(frozen=True)
class Count:
    """How many published values are reproduced. Seconds do not count, because they depend on the hardware."""

    described: int
    run: int
    neither: int
    unjudged: int
    wide: int  # of those reproduced: in an interval whose half-width is over `WIDE`

    @property
    def reproduced(self) -> int:
        """Values that are reproduced as described or as run."""
        return self.described + self.run

    @property
    def total(self) -> int:
        """All values but seconds."""
        return self.reproduced + self.neither + self.unjudged


def count(table: pd.DataFrame, main: bool = False) -> Count:
    """Count the published values of a table of `reproduction` by their outcome.

    Args:
        table: rows of one study, or of several together.
        main: whether to count published test results alone.
    """
    hardware = [name for name, metric in METRICS.items() if metric.hardware]
    counted = table[~table["metric"].isin(hardware) & (table["main"] | (not main))]
    values = counted[counted["role"] == "described"]["outcome"].value_counts()
    deciding = counted[counted["outcome"] == "as " + counted["role"]]
    shares = deciding["metric"].map(lambda name: METRICS[name].share).astype(bool)
    words = ("as described", "as run", "neither", "no verdict")
    return Count(
        *(int(values.get(word, 0)) for word in words), wide=int((shares & (deciding["half_width"] > WIDE)).sum())
    )

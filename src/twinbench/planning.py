"""From the configuration to the cells of the DAG: names, paths, blocks of rounds, and each rule's slice of the config.

Never imports torch or pandas, like the configuration itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinbench.architectures.catalog import Architecture, architectures
from twinbench.config.expansion import value_text
from twinbench.config.models import MNIST_TRAIN, Config
from twinbench.config.studies import Study, SweptStudy
from twinbench.config.sweeps import TRAIN_PAIRS, axis_label
from twinbench.training.schedule import stage_at

CONSTANT = "constant"


@dataclass(frozen=True)
class Plan:
    """Everything that the rules ask about the configuration.

    A sweep is asked about like a study, by its name ``<study>.<sweep>``; its models are its points.
    """

    config: Config
    studies: dict[str, Study]
    missing: tuple[dict[str, str], ...] = ()  # cells that a partial report does without

    def partial(self, record: str) -> "Plan":
        """Return the plan of a report on what exists: without the cells whose record, a path pattern, is missing.

        A study of which nothing exists is left out.
        """
        every = [cell for study in [*self.studies, *self.sweeps] for cell in self.cells(study)]
        missing = [cell for cell in every if not Path(record.format(**cell)).exists()]
        left = {cell["study"] for cell in every if cell not in missing}
        return Plan(self.config, {name: s for name, s in self.studies.items() if name in left}, tuple(missing))

    def study(self, name: str) -> Study:
        """Return a study, or a sweep as a study."""
        study, _, sweep = name.partition(".")
        return self.studies[study].sweeps[sweep].study if sweep else self.studies[study]

    @property
    def sweeps(self) -> dict[str, SweptStudy]:
        """Every sweep of every study, by ``<study>.<sweep>``; none if they are off, none without a cell."""
        named = {swept.study.name: swept for study in self.studies.values() for swept in study.sweeps.values()}
        return {name: swept for name, swept in named.items() if self.config.sweeps and self.cells(name)}

    @property
    def swept_studies(self) -> dict[str, list[str]]:
        """The names of each study's sweeps, ``<study>.<sweep>``, of the studies that have any."""
        found: dict[str, list[str]] = {}
        for name in self.sweeps:
            found.setdefault(name.partition(".")[0], []).append(name)
        return found

    @property
    def results(self) -> str:
        """Folder of the scale: changing the scale and back retrains nothing."""
        return f"results/{self.config.scale}"

    def blocks(self, study: str, model: str | None = None) -> list[str]:
        """Return the blocks of rounds of a study, or of one of its models that may have fewer: ``["0-7", "8-15"]``.

        More rounds only add blocks to full ones.
        """
        size = self.study(study).file.rounds_per_job or self.config.rounds_per_job
        return split_rounds(self.study(study).rounds(model), size)

    def models(self, study: str) -> list[str]:
        """Return the names of the study's models that have cells; the constant baseline is not among them."""
        models = self.study(study).file.models
        return [model for model in models if self.cells(study, model)] if self.missing else list(models)

    def folds(self, study: str) -> list[str]:
        """Return the names of the study's folds; ``["all"]`` without cross-validation."""
        return self.study(study).folds

    def cells(self, study: str, model: str | None = None) -> list[dict[str, str]]:
        """Return study, model, fold and rounds of every training job of a study, or of one of its models."""
        cells = [
            {"study": study, "model": name, "fold": fold, "rounds": block}
            for name in ([model] if model else self.study(study).file.models)
            for fold in self.folds(study)
            for block in self.blocks(study, name)
        ]
        return [cell for cell in cells if cell not in self.missing]

    def figures(self) -> list[tuple[str, str]]:
        """Return study and name of every figure."""
        return [(name, figure) for name, study in self.studies.items() for figure in study.file.figures]

    def accelerator(self, study: str, model: str) -> str:
        """Return what a model asks for: ``cpu`` or ``gpu``."""
        return self.study(study).file.models[model].accelerator

    def pretrained(self, study: str, model: str) -> str | None:
        """Return the name of the pre-trained weights that a model starts from; None if it starts from random ones."""
        name = self.architecture(study, model).pretrained
        return name if name and getattr(self.config.pretrained, name) != "random" else None

    def pairs(self, study: str) -> dict[str, Any]:
        """Return the slice of the config that the pair tables depend on."""
        protocol = self.study(study).protocol
        counts = protocol.pairs.model_dump()
        if any(self.train_pairs(study, model) for model in self.study(study).file.models):
            # All that MNIST has: another value redraws nothing, and a larger one only adds pairs to a smaller one.
            counts["train"] = MNIST_TRAIN // 2 - counts["validation"]
        return {"seed": self.config.seed, "counts": counts, **protocol.model_dump(include={"folds", "fixed_data"})}

    def train_pairs(self, study: str, model: str) -> int | None:
        """Return how many training pairs a point of a sweep takes of its table; None if it takes all."""
        of, _, sweep = study.partition(".")
        return self.studies[of].sweeps[sweep].points[model].get(TRAIN_PAIRS) if sweep else None

    def cell(self, study: str, model: str) -> dict[str, Any]:
        """Return the slice of the config that training a model depends on."""
        of_study = self.study(study)
        entry = of_study.file.models[model]
        return {
            "seed": self.config.seed,
            "fixed_data": of_study.protocol.fixed_data,
            "parameter_budget": of_study.file.parameter_budget,
            "architecture": entry.architecture,
            "options": entry.options,
            "objective": entry.objective.model_dump(),
            "decision": entry.decision,
            "training": of_study.trainings[model].model_dump(),
        }

    def labels(self, study: str) -> dict[str, str]:
        """Return the label of every model of a study, the constant baseline last."""
        models = self.study(study).file.models
        return {name: models[name].label for name in self.models(study)} | {CONSTANT: "majority class"}

    def published_accuracy(self, study: str) -> dict[str, float]:
        """Return the published test accuracy of the models that have one (or an error, which is 1 − accuracy)."""
        found = {}
        for name, model in self.study(study).file.models.items():
            for published in model.published.values:
                if published.split == "test" and published.metric in ("accuracy", "error"):
                    found[name] = published.value if published.metric == "accuracy" else 1 - published.value
        return found

    def scoring(self, study: str) -> dict[str, dict[str, Any]]:
        """Return, for every model of a study and its baseline, the decision that counts and the weights of the losses.

        Where the weights change, those of the last epoch count.
        """
        of_study = self.study(study)
        scoring = {}
        for name in self.models(study):
            model, epochs = of_study.file.models[name], of_study.trainings[name].epochs
            weights = stage_at(model.objective.model_dump(), epochs, epochs).weights
            scoring[name] = {"decision": model.decision, "weights": weights}
        return scoring | {CONSTANT: {"decision": "target", "weights": {"target": 1.0}}}

    def answering(self, study: str) -> dict[str, dict[str, Any]]:
        """Return, for every model of a study without its baseline, the decision that counts and the trained heads."""
        models = {name: self.study(study).file.models[name] for name in self.models(study)}
        return {
            name: {"decision": model.decision, "trained": model.objective.trained} for name, model in models.items()
        }

    def sweep_cells(self, study: str) -> list[dict[str, str]]:
        """Return study, model, fold and rounds of every training job of a study's sweeps."""
        return [cell for name in self.swept_studies[study] for cell in self.cells(name)]

    def sweep_tables(self, study: str) -> dict[str, dict[str, Any]]:
        """Return what the table of a study's sweeps needs: metric and, as text, each point's value on each axis."""
        tables = {}
        for name in self.swept_studies[study]:
            swept = self.sweeps[name]
            points = {point: list(map(value_text, values.values())) for point, values in swept.points.items()}
            tables[name] = {"metric": swept.sweep.metric, "axes": list(swept.axes), "points": points}
        return tables

    def sweep(self, name: str) -> dict[str, Any]:
        """Return what figure and report need of a sweep."""
        swept = self.sweeps[name]
        kept = {"title", "metric", "split", "published"}
        claimed = [
            point for point, values in swept.points.items() if swept.best and swept.best.items() <= values.items()
        ]
        return swept.sweep.model_dump(include=kept) | {
            "axes": [
                {"label": axis_label(path), "values": values, "texts": list(map(value_text, values))}
                for path, values in swept.axes.items()
            ],
            "paths": list(swept.axes),
            "kept": self._kept(swept),
            "figure": "sweep_line" if len(swept.axes) == 1 else "sweep_map",
            "points": {point: list(values.values()) for point, values in swept.points.items()},
            "labels": self.labels(name),
            "claimed": claimed,
            "protocol": swept.study.protocol.model_dump(),
            "reduced": swept.study.reduced,
        }

    def _kept(self, swept: SweptStudy) -> dict[str, Any]:
        """Return what is the same in all points: base model, objective, options and training, without the axes."""
        first = next(iter(swept.points))
        model = swept.study.file.models[first]
        kept = {
            "objective": model.objective.model_dump(exclude_none=True),
            "options": dict(model.options),
            "training": swept.study.trainings[first].model_dump(exclude_none=True),
        }
        for path in swept.axes:
            *parents, last = path.split(".")
            node = kept
            for key in parents:
                node = node.get(key, {})
            node.pop(last, None)
        return {"base": swept.sweep.base, "decision": model.decision} | kept

    def report(self) -> dict[str, Any]:
        """Return what the report says of the configuration: every study as it was run and as it was published."""
        studies = {}
        for name, study in self.studies.items():
            trainings = {model: study.trainings[model].model_dump() for model in self.models(name)}
            models = {model: study.file.models[model].model_dump() for model in self.models(name)}
            studies[name] = study.file.model_dump() | {
                "models": models,
                "protocol": study.protocol.model_dump(),
                "trainings": trainings,
                "reduced": study.reduced,
                "reduced_sweeps": self._reduced_sweeps(name),
                "sweeps": {sweep: self.sweep(sweep) for sweep in self.swept_studies.get(name, [])},
                "labels": self.labels(name),
                "pretrained": [model for model in models if self.architecture(name, model).pretrained],
                "answering": self.answering(name),
            }
        return {"config": self.config.model_dump(), "studies": studies}

    def _reduced_sweeps(self, study: str) -> dict[str, Any]:
        """Return what the scale changes in all sweeps of a study beside what it changes in the study."""
        changes = self.studies[study].file.scales.get(self.config.scale)
        return changes.sweeps.model_dump(exclude_unset=True) if changes and study in self.swept_studies else {}

    def module(self, study: str, model: str) -> str:
        """Return the package module that defines the model's architecture."""
        return self.architecture(study, model).module

    def architecture(self, study: str, model: str) -> Architecture:
        """Return what the model's architecture declares."""
        return architectures()[self.study(study).file.models[model].architecture]


def split_rounds(rounds: int, size: int) -> list[str]:
    """Return rounds as blocks of ``size``, the last one perhaps smaller: 10 in blocks of 8 → ``["0-7", "8-9"]``."""
    return [f"{first}-{min(first + size, rounds) - 1}" for first in range(0, rounds, size)]

"""From config/scratch.yaml to the jobs of its rules. Never imports torch or pandas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinbench.config.loading import Scratch
from twinbench.config.models import Config
from twinbench.figures.catalog import disc_captions
from twinbench.planning import split_rounds

DIGITS = "digits"


@dataclass(frozen=True)
class ScratchPlan:
    """Everything that the rules ask about the from-scratch study."""

    config: Config
    scratch: Scratch

    @property
    def blocks(self) -> list[str]:
        """Blocks of rounds, as for any study."""
        return split_rounds(self.scratch.protocol.rounds, self.config.rounds_per_job)

    @property
    def nets(self) -> list[str]:
        """Names of the nets that learn the disc."""
        return list(self.scratch.nets)

    def cells(self) -> list[dict[str, str]]:
        """Return net and rounds of every training job, the digit net's last."""
        return [{"net": net, "rounds": block} for net in [*self.nets, DIGITS] for block in self.blocks]

    def missing(self, record: str) -> list[dict[str, str]]:
        """Return the training jobs whose record, a path pattern, is missing: a partial report needs all of them."""
        return [cell for cell in self.cells() if not Path(record.format(**cell)).exists()]

    def points(self) -> dict[str, Any]:
        """Return the slice of the config that the points depend on."""
        return {"seed": self.config.seed, "counts": self.scratch.protocol.points.model_dump()}

    def pairs(self) -> dict[str, Any]:
        """Return the slice of the config that the digit pairs depend on: what makes them the pairs of that study."""
        seed, study = self.config.seed, self.scratch.file.digits.study
        return {"seed": seed, "counts": self.scratch.pairs, "folds": None, "study": study}

    def cell(self, net: str) -> dict[str, Any]:
        """Return the slice of the config that training a net depends on."""
        entry = self.scratch.file.digits if net == DIGITS else self.scratch.nets[net]
        training = self.scratch.trainings[net].model_dump()
        return {"seed": self.config.seed, **entry.model_dump(include={"hidden", "activation"}), "training": training}

    def labels(self) -> dict[str, str]:
        """Return the label of every net, the digit net and the constant baseline last."""
        labels = {name: net.label for name, net in self.scratch.nets.items()}
        return labels | {DIGITS: self.scratch.file.digits.label, "constant": "majority class"}

    def figure(self) -> dict[str, Any]:
        """Return what the figures say of the configuration."""
        file = self.scratch.file
        swept = [file.main, *(name for name in self.nets if name.startswith("width-"))]
        return {
            "labels": self.labels(),
            "main": file.main,
            "named": list(file.nets),
            "widths": {name: self.scratch.nets[name].hidden[0] for name in swept},
            "published": {
                name: value.value
                for name, net in file.nets.items()
                for value in net.published.values
                if (value.metric, value.split) == ("error", "test")
            },
        }

    def report(self) -> dict[str, Any]:
        """Return what the report says of the study as it was run and as it was published."""
        file = self.scratch.file
        changes = file.scales.get(self.config.scale)
        nets = {name: net.model_dump() for name, net in self.scratch.nets.items()}
        return {
            "title": file.title,
            "source": file.source.model_dump(),
            "choices": file.choices,
            "main": file.main,
            "protocol": self.scratch.protocol.model_dump(),
            "pairs": self.scratch.pairs,
            "nets": nets | {DIGITS: file.digits.model_dump()},
            "trainings": {name: training.model_dump() for name, training in self.scratch.trainings.items()},
            "reduced": changes.model_dump(exclude_defaults=True) if changes else {},
            "captions": disc_captions(),
        }

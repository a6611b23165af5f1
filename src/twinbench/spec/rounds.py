"""Which rounds and folds a training job has."""


def parse_rounds(block: str) -> range:
    """Return the rounds of a block: ``"8-15"`` → ``range(8, 16)``."""
    first, last = block.split("-")
    return range(int(first), int(last) + 1)


def folds_of(folds: list[str], whole_rounds: int | None, round_: int) -> list[str]:
    """Return the folds that are trained in a round: all of them, or, after the ``whole_rounds``, the last one."""
    return folds if whole_rounds is None or round_ < whole_rounds else folds[-1:]

"""Whether a study's models err where the digits are equal or one apart, as text for the report."""

import pandas as pd

from twinbench.evaluation.errors import along_diagonal
from twinbench.report.tables import value_text


def diagonal_rows(study: dict, errors: pd.DataFrame) -> list[list[str]]:
    """Return label, losses, share of errors and share of test pairs on or next to the diagonal, of every model.

    Args:
        study: the study's part of `Plan.report`.
        errors: the study's rows of errors.parquet.
    """
    rows = []
    for name, counts in along_diagonal(errors).iterrows():
        losses = " and ".join(study["answering"][name]["trained"])
        of_errors = f"{_share(counts, 'errors')} (n = {counts['errors']:,})"
        rows.append([study["labels"][name], losses, of_errors, _share(counts, "pairs")])
    return rows


def diagonal_groups(study: dict, errors: pd.DataFrame) -> list[dict]:
    """Return the same for all models trained on the target alone and for all others, where any made errors.

    Args:
        study, errors: as for `diagonal_rows`.

    Returns:
        For each group, ready for a sentence: trained_on, errors, of_errors and of_pairs (shares there), models, and
        above: those with a larger share of errors than of pairs there.
    """
    counts = along_diagonal(errors)
    counts = counts[counts["errors"] > 0]
    alone = pd.Series({name: study["answering"][name]["trained"] == ["target"] for name in counts.index}, dtype=bool)
    groups = []
    for name, of_group in (("the target alone", counts[alone]), ("digits, with or without the target", counts[~alone])):
        if len(of_group):
            total = of_group.sum()
            above = of_group["errors_there"] / of_group["errors"] > of_group["pairs_there"] / of_group["pairs"]
            groups.append({
                "trained_on": name, "errors": f"{total['errors']:,}", "of_errors": _share(total, "errors"),
                "of_pairs": _share(total, "pairs"), "models": len(of_group), "above": int(above.sum()),
            })  # fmt: skip
    return groups


def _share(counts: pd.Series, name: str) -> str:
    return value_text(counts[f"{name}_there"] / counts[name], "error") if counts[name] else "–"

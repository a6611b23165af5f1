"""Wrong answers on the test pairs: their counts by digits, and the hardest pairs with the answer of each model."""

from collections import Counter

import numpy as np
import pandas as pd

from twinbench.evaluation.metrics import pair_scores
from twinbench.evaluation.statistics import reported

HARDEST = 12
ANSWER = ["model", "round", "pair", "left_digit", "right_digit", "target", "answer", "wrong", "certainty",
          "left_predicted", "right_predicted"]  # fmt: skip


def reported_answers(predictions: pd.DataFrame, answering: dict[str, dict], metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of a study's models on the test pairs, in each round from the fold that is reported.

    Args:
        predictions: those of the study (`predictions.predict_study`).
        answering: decision and trained heads of each model (`spec.study.Study.answering`).
        metrics: the study's metrics, which mark the folds.

    Returns:
        A row per (model, round, pair): the columns of ``ANSWER``. ``answer`` is 1 for left ≤ right, ``certainty`` the
        probability that the model gave to its answer; predicted digits are -1 unless the digit head was trained. A
        replica that diverged has no rows.
    """
    folds = reported(metrics)[["model", "fold", "round"]].drop_duplicates()
    test = predictions[predictions["split"] == "test"].merge(folds, on=["model", "fold", "round"])
    answered = [_answered(test[test["model"] == model], **of_model) for model, of_model in answering.items()]
    return pd.concat(answered, ignore_index=True)


def digit_errors(answers: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Count each model's test pairs and wrong answers over all rounds, by digits.

    Columns: model, left_digit, right_digit, pairs, errors; 100 rows per model, also for digits that no pair has.
    """
    axes = ["model", "left_digit", "right_digit"]
    counted = answers.groupby(axes)["wrong"].agg(pairs="size", errors="sum")
    every = pd.MultiIndex.from_product([models, range(10), range(10)], names=axes)
    return counted.reindex(every, fill_value=0).astype("int64").reset_index()


def along_diagonal(errors: pd.DataFrame) -> pd.DataFrame:
    """Count a study's `digit_errors` on or next to the diagonal, where digits are equal or one apart.

    The index is the model. Columns: ``pairs`` and ``errors`` in all, ``pairs_there`` and ``errors_there``.
    """
    near = (errors["left_digit"] - errors["right_digit"]).abs() <= 1
    there = errors[["pairs", "errors"]].where(near, 0).add_suffix("_there")
    return errors[["model", "pairs", "errors"]].join(there).groupby("model", sort=False).sum()


def hardest_pairs(answers: pd.DataFrame, pairs: pd.DataFrame, images: np.ndarray, count: int = HARDEST) -> pd.DataFrame:
    """Return the test pairs that most models get wrong, a row per (pair, model).

    Only rounds in which the same models answered are compared: those of the largest set of models or, of equal sets, of
    the one with most rounds. Pairs that equally many models get wrong are sorted by the mean certainty of the wrong
    answers, the highest first, then by round and pair. Two images that meet in several rounds count once.

    Args:
        answers: those of `reported_answers`.
        pairs: pair tables of all rounds.
        images: (n, 14, 14), the data set's test part.
        count: pairs to return, at most; a pair that every model gets right is left out.

    Returns:
        rank (from 1), round, pair, left_index, right_index, left_digit, right_digit, target, wrong (share of wrong
        models), model, answer, left_predicted, right_predicted (-1 without a trained digit head), left_image and
        right_image (196 grey levels in 0…255, row after row).
    """
    answers = _of_the_same_models(answers)
    certainty = answers["certainty"].where(answers["wrong"])  # mean() leaves out the right answers
    ranked = answers.assign(certainty=certainty).groupby(["round", "pair"])[["wrong", "certainty"]].mean()
    indices = pairs.loc[pairs["split"] == "test", ["round", "pair", "left_index", "right_index"]]
    ranked = ranked[ranked["wrong"] > 0].reset_index().merge(indices, on=["round", "pair"])
    ranked = ranked.sort_values(["wrong", "certainty", "round", "pair"], ascending=[False, False, True, True])
    ranked = ranked.drop_duplicates(["left_index", "right_index"]).head(count).reset_index(drop=True)
    ranked.insert(0, "rank", ranked.index + 1)
    for side in ("left", "right"):
        ranked[f"{side}_image"] = [image.ravel().tolist() for image in images[ranked[f"{side}_index"]]]
    table = ranked.merge(answers.drop(columns=["wrong", "certainty"]), on=["round", "pair"])
    return table[["rank", "round", "pair", "left_index", "right_index", "left_digit", "right_digit", "target", "wrong",
                  "model", "answer", "left_predicted", "right_predicted", "left_image", "right_image"]]  # fmt: skip


def _answered(test: pd.DataFrame, decision: str, trained: list[str]) -> pd.DataFrame:
    """Return the columns of ``ANSWER`` from those of a prediction file."""
    right = pair_scores(test)[f"accuracy_{decision}"] == 1
    answer = np.where(right, test["target"], 1 - test["target"]).astype(np.int8)
    # The sigmoid of the logit, without overflow for large ones.
    sigmoid = np.exp(-np.logaddexp(0, -test["target_logit"].astype(float)))
    probability = sigmoid if decision == "target" else test["posterior"].astype(float)
    table = test.assign(answer=answer, wrong=~right, certainty=np.where(answer, probability, 1 - probability))[ANSWER]
    if "digits" not in trained:
        table[["left_predicted", "right_predicted"]] = np.int8(-1)
    return table


def _of_the_same_models(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of the rounds that the largest set of models has in common."""
    sets = {round_: frozenset(models) for round_, models in answers.groupby("round")["model"]}
    rounds = Counter(sets.values())
    largest = max(rounds, key=lambda models: (len(models), rounds[models]), default=frozenset())
    return answers[answers["round"].isin([round_ for round_, models in sets.items() if models == largest])]

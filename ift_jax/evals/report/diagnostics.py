"""What an evaluation's records tell beside accuracy: calibration, letter bias, answer mass."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from ift_jax.evals.languages import ENGLISH, Language
from ift_jax.evals.report.reading import Record
from ift_jax.evals.statistics import stuart_maxwell, wilson

BINS = 15
"""Of equal width over 0 to 1, as in Guo et al. 2017 (1706.04599), section 5."""

LOW_QUANTILE = 0.05


def calibration(records: Sequence[Record]) -> dict[str, Any] | None:
    """Whether the model is right as often as its probabilities say (Guo et al. 2017).

    The confidence in an answer is the largest of the choices' probabilities, renormalised to sum to
    1 over the choices. Bin m of M holds the answers with confidence in ((m − 1)/M, m/M], and the
    expected calibration error is the mean over answers of |accuracy − confidence| of their bins.

    Returns:
        `ece`, `confidence` and `accuracy` (means), and the `bins` that hold answers, each with
        `low`, `high`, `n_questions`, `confidence`, `accuracy` and its 95% Wilson `interval`. None
        where there are no log-likelihoods, or where a choice isn't the likeliest, as under length
        normalisation.
    """
    if not all(record.get("loglikelihoods") for record in records):
        return None
    likeliest = [int(np.argmax(record["loglikelihoods"])) for record in records]
    answers = {(i, record["choice"]) for i, record in zip(likeliest, records, strict=True)}
    if len(answers) > len(set(likeliest)):
        return None
    confidence_Q = np.array([_confidence(record["loglikelihoods"]) for record in records])
    correct_Q = np.array([record["choice"] == record["key"] for record in records], float)
    edges = np.linspace(0, 1, BINS + 1)
    bin_Q = np.digitize(confidence_Q, edges[1:-1], right=True)
    bins = []
    for i in np.unique(bin_Q):
        correct = correct_Q[bin_Q == i]
        bins.append(
            {
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "n_questions": len(correct),
                "confidence": float(confidence_Q[bin_Q == i].mean()),
                "accuracy": float(correct.mean()),
                "interval": list(wilson(int(correct.sum()), len(correct))),
            }
        )
    gaps = (each["n_questions"] * abs(each["accuracy"] - each["confidence"]) for each in bins)
    return {
        "ece": sum(gaps) / len(records),
        "confidence": float(confidence_Q.mean()),
        "accuracy": float(correct_Q.mean()),
        "bins": bins,
    }


def letters(records: Sequence[Record], language: Language = ENGLISH) -> dict[str, Any] | None:
    """How often each letter, which the language may call otherwise, is chosen, and is right.

    Returns:
        `letters`: for each, its share of the `key` and of what was `chosen`, the latter's 95%
        Wilson `interval`, and `recall`, the accuracy where it is right (None if it never is); and
        `p_value`, of the Stuart–Maxwell test that both shares are alike for all letters. Answers
        that couldn't be read are left out. None where keys aren't letters, or nothing was read.
    """
    read = [record for record in records if record["choice"] is not None]
    if not read or not all(len(each["key"]) == 1 and each["key"].isalpha() for each in records):
        return None
    keys, chosen = [each["key"] for each in read], [each["choice"] for each in read]
    n_keys, n_chosen = collections.Counter(keys), collections.Counter(chosen)
    right = collections.Counter(each["key"] for each in read if each["choice"] == each["key"])
    return {
        "letters": {
            language.letter(letter): {
                "key": n_keys[letter] / len(read),
                "chosen": n_chosen[letter] / len(read),
                "interval": list(wilson(n_chosen[letter], len(read))),
                "recall": right[letter] / n_keys[letter] if n_keys[letter] else None,
            }
            for letter in sorted({*keys, *chosen})
        },
        "p_value": stuart_maxwell(keys, chosen),
    }


def answer_mass(records: Sequence[Record]) -> dict[str, Any] | None:
    """The probability, over the whole vocabulary, that the model answers with one of the letters.

    Returns:
        Its `mean` over the questions, `low` (the 5% quantile), and `likely`: the share of questions
        where it is over one half. None where there are no log-likelihoods.
    """
    if not all(record.get("loglikelihoods") for record in records):
        return None
    mass_Q = np.array([np.exp(record["loglikelihoods"]).sum() for record in records])
    return {
        "mean": float(mass_Q.mean()),
        "low": float(np.quantile(mass_Q, LOW_QUANTILE)),
        "likely": float((mass_Q > 0.5).mean()),
    }


def chance(records: Sequence[Record]) -> float | None:
    """The accuracy of guessing among the choices; None where there are no log-likelihoods."""
    if not all(record.get("loglikelihoods") for record in records):
        return None
    return float(np.mean([1 / len(record["loglikelihoods"]) for record in records]))


def _confidence(loglikelihoods: Sequence[float]) -> float:
    """The largest probability of the choices, renormalised."""
    return 1 / float(np.exp(np.array(loglikelihoods) - max(loglikelihoods)).sum())

"""Uncertainty of accuracies and of their differences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

Z = 1.959963984540054
"""Standard normal quantile of 97.5%, for two-sided 95% intervals."""

METHODS = {
    "accuracy": "Wilson score interval, 95%",
    "macro": "mean of the subjects' accuracies ± 1.96 standard errors, subjects independent",
    "delta": "Bonett and Price (2012) adjusted Wald interval for paired proportions, 95%",
    "p_value": "exact two-sided McNemar test on the questions that changed",
}
"""How each interval and p-value of a report is computed."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Share of questions answered correctly; interval at 95%."""

    accuracy: float
    standard_error: float
    interval: tuple[float, float]
    n_questions: int


def accuracy(correct: Sequence[bool]) -> Accuracy:
    """Accuracy with its binomial standard error and Wilson interval."""
    n = _count(correct)
    p = sum(map(bool, correct)) / n
    return Accuracy(p, math.sqrt(p * (1 - p) / n), wilson(sum(map(bool, correct)), n), n)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson (1927) score interval of a proportion, 95%."""
    p = successes / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def macro(subjects: Sequence[Accuracy]) -> Accuracy:
    """Unweighted mean over subjects, with the standard error of a mean of independent ones."""
    mean = sum(each.accuracy for each in subjects) / _count(subjects)
    error = math.sqrt(sum(each.standard_error**2 for each in subjects)) / len(subjects)
    interval = max(0.0, mean - Z * error), min(1.0, mean + Z * error)
    return Accuracy(mean, error, interval, sum(each.n_questions for each in subjects))


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value: are gains and losses on the same questions equally likely?

    Twice the binomial tail of min(gains, losses) among gains + losses at ½, at most 1.
    """
    gains, losses = _changes(before, after)
    return float(stats.binomtest(gains, gains + losses).pvalue) if gains + losses else 1.0


def paired_interval(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, float]:
    """95% interval of the accuracy difference after − before on the same questions.

    Bonett and Price (2012): a Wald interval with one gain and one loss added, which keeps its
    coverage for small samples and where almost nothing, or everything, changed.
    """
    gains, losses = _changes(before, after)
    n = len(before) + 2
    p, q = (gains + 1) / n, (losses + 1) / n
    half = Z * math.sqrt((p + q - (p - q) ** 2) / n)
    return max(-1.0, p - q - half), min(1.0, p - q + half)


def _changes(before: Sequence[bool], after: Sequence[bool]) -> tuple[int, int]:
    if len(before) != len(after):
        raise ValueError(
            f"{len(before)} answers before and {len(after)} after: a paired comparison needs the"
            " same questions"
        )
    _count(before)
    before, after = np.asarray(before, bool), np.asarray(after, bool)
    return int((after & ~before).sum()), int((before & ~after).sum())


def _count(items: Sequence) -> int:
    if not len(items):
        raise ValueError("no questions: an accuracy needs at least one")
    return len(items)

"""Everything that a report says, as numbers: what `report.json` holds and the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ift_jax.evals import languages, statistics
from ift_jax.evals.report.compare import comparison
from ift_jax.evals.report.diagnostics import (
    BINS,
    answer_mass,
    calibration,
    chance,
    letters,
)
from ift_jax.evals.report.reading import Evaluation

METHODS = statistics.METHODS | {
    "bootstrap": "percentiles of the change over 10,000 sets of questions drawn with replacement,"
    " 95%, seed 0",
    "p_holm": "McNemar p adjusted for the number of subjects (Holm 1979)",
    "ece": f"expected calibration error over {BINS} bins of equal width (Guo et al. 2017), of the"
    " choices' probabilities renormalised to sum to 1",
    "letters": "Wilson score interval, 95%; p: Stuart (1955) and Maxwell (1970) test that chosen"
    " letters and right ones are distributed alike",
    "answer_mass": "sum of the letters' probabilities, each over the whole vocabulary",
}


def report(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """All that there is to tell of evaluations, each further one compared with the first.

    Returns:
        `label`, `protocol`, `shots`, `language` and `split`, which they share; `evaluations`, what
        `describe` gives for each; `comparisons`, what `comparison` gives for each but the first;
        and `methods`.

    Raises:
        ValueError: the evaluations are not comparable; names what differs.
    """
    first, *others = evaluations
    return {
        "label": first.summary["label"],
        "protocol": first.summary["protocol"],
        "shots": first.summary["shots"],
        "language": first.summary.get("language"),
        "split": first.summary.get("split", "test"),
        "evaluations": [describe(each) for each in evaluations],
        "comparisons": [comparison(first, other) for other in others],
        "methods": METHODS,
    }


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """What one evaluation found.

    Returns:
        `name`; of its summary `prompt_format`, `micro`, `macro`, `categories`, `subjects` and
        `hashes`; of its records `chance`, the accuracy of guessing; `unreadable`, the number of
        answers that nothing could be read from, which are wrong; `letters`, `calibration` and
        `answer_mass` (`diagnostics`). None stands for what has no meaning.
    """
    records, summary = evaluation.records, evaluation.summary
    by_letter = summary["protocol"].get("answer") == "letter"
    of_summary = ("prompt_format", "micro", "macro", "categories", "subjects", "hashes")
    return {
        "name": evaluation.name,
        **{key: summary[key] for key in of_summary},
        "chance": chance(records),
        "unreadable": sum(record["choice"] is None for record in records),
        "letters": letters(records, languages.find(summary.get("language", "en"))),
        "calibration": calibration(records),
        "answer_mass": answer_mass(records) if by_letter else None,
    }

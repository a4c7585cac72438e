"""Whether a model completes statements that it was trained on: what it knows, without a question.

The measure of a base model, whatever questions it can or can't answer, and of what finetuning made
it forget.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

from ift_jax.evals.likelihood import Scorer, request
from ift_jax.evals.statistics import accuracy


@dataclasses.dataclass(frozen=True)
class Cloze:
    """A statement cut before its ending.

    Attributes:
        prefix: the statement up to there.
        choices: possible endings; the first is the right one.
        group: a name under which results are averaged.
    """

    prefix: str
    choices: tuple[str, ...]
    group: str


class Recall:
    """Completes clozes as plain text, whatever form the model was finetuned on.

    Args:
        functions: the family's functions (`layers.functional.Functions`).
        tokenizer: the model's tokenizer.
        clozes: what to complete.
        mesh: device mesh to split the work over.
    """

    def __init__(
        self,
        functions: Any,
        tokenizer: Any,
        clozes: Sequence[Cloze],
        mesh: jax.sharding.Mesh | None = None,
    ):
        self._clozes = clozes
        self._scorer = Scorer(functions, mesh)
        self._requests = [
            request(
                tokenizer,
                cloze.prefix,
                [f" {choice}." for choice in cloze.choices],
                eos_separator=functions.encoder_decoder,
            )
            for cloze in clozes
        ]

    def run(self, params: Any) -> dict[str, Any]:
        """Completes all clozes.

        Returns:
            For each group, and for 'all': `exact`, the share whose right ending is what greedy
            decoding writes, to the full stop; `choice`, the share whose right ending is the
            most likely of its choices; and `n`.
        """
        results = collections.defaultdict(list)
        for cloze, score in zip(
            self._clozes, self._scorer.score(params, self._requests), strict=True
        ):
            right, *others = score.loglikelihoods
            likely = all(right > other for other in others)  # a tie is no knowledge
            for group in (cloze.group, "all"):
                results[group].append((score.greedy[0], likely))
        return {
            group: {
                "exact": accuracy([exact for exact, _ in pairs]).accuracy,
                "choice": accuracy([likely for _, likely in pairs]).accuracy,
                "n": len(pairs),
            }
            for group, pairs in sorted(results.items())
        }

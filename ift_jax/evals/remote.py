"""A model behind an endpoint, as the evals ask one: with the interface of `evals.local`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ift_jax.evals.endpoint import EndpointScorer, missing
from ift_jax.evals.likelihood import Score
from ift_jax.evals.protocols import Prompt


class Remote:
    """A model known by its endpoint alone, whose tokens are not counted: no shots are dropped.

    Args:
        scorer: asks the endpoint.
    """

    encoder_decoder = False
    max_length = None

    def __init__(self, scorer: EndpointScorer):
        self._scorer = scorer
        # The scorer finds a way where none was asked for: no matter to whoever resumes.
        self._asked_for = scorer.way

    @property
    def identity(self) -> dict[str, Any]:
        """What is known of it before it is asked."""
        return {"config": {"way": self._asked_for}, "hashes": self._scorer.hashes}

    def diagnostics(self, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """How log-likelihoods were had; of records, the letters not among the likeliest tokens."""
        how = {"way": self._scorer.way, "likeliest": self._scorer.likeliest}
        weighed = (record for record in found if "loglikelihoods" in record)
        return {"config": how, "missing_letters": missing(weighed)}

    def request(self, prompt: Prompt) -> Prompt:
        """A prompt in the form that `scores` takes.

        Raises:
            ValueError: an EOS token would have to follow it.
        """
        if prompt.eos_separator:
            raise ValueError(
                f"{prompt.name}: its format ends in an EOS token, which no text can ask an endpoint"
                " for: use another --format"
            )
        return prompt

    def tokens(self, asked: Prompt, written: int = 0) -> int:
        """Nothing is known to be too long."""
        return 0

    def scores(
        self, params: None, asked: Sequence[Prompt], done: Collection[int]
    ) -> Iterator[tuple[int, Score]]:
        """See `EndpointScorer.scores`."""
        return self._scorer.scores(asked, done)

    def texts(
        self,
        params: None,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        stop: Sequence[str],
        done: Collection[int],
    ) -> Iterator[tuple[int, str]]:
        """See `EndpointScorer.texts`."""
        texts = [prompt.prompt for prompt in prompts]
        return self._scorer.texts(texts, max_new_tokens, stop, done)

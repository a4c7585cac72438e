"""A model in this process, as the evals ask one: in texts. A remote one is `evals.endpoint`'s."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jax

from ift_jax.evals.generative import Writer
from ift_jax.evals.layout import Request, fed_tokens
from ift_jax.evals.likelihood import Score, Scorer, request
from ift_jax.evals.protocols import Prompt
from ift_jax.tokenizers import Tokenizer


class Local:
    """A model family at one size, with its tokenizer.

    Args:
        functions: the family's functions (`layers.functional.Functions`).
        tokenizer: the model's tokenizer.
        mesh: device mesh to split the work over.

    Attributes:
        encoder_decoder: whether an EOS token follows every prompt, whatever its format.
        max_length: the most tokens that it takes in at once.
    """

    def __init__(self, functions: Any, tokenizer: Tokenizer, mesh: jax.sharding.Mesh | None = None):
        self.encoder_decoder = functions.encoder_decoder
        self.max_length = functions.config.max_length
        self._functions, self._tokenizer, self._mesh = functions, tokenizer, mesh
        self._scorer = Scorer(functions, mesh)

    @property
    def identity(self) -> dict[str, Any]:
        """What it is but for its parameters."""
        hashes = {"tokenizer": self._tokenizer.fingerprint}
        return {"config": repr(self._functions.config), "hashes": hashes}

    def diagnostics(self, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Of records: nothing that they don't say."""
        return {}

    def request(self, prompt: Prompt) -> Request:
        """A prompt in the form that `scores` takes."""
        return request(
            self._tokenizer,
            prompt.prompt,
            prompt.continuations,
            eos_separator=prompt.eos_separator,
            name=prompt.name,
        )

    def tokens(self, asked: Request, written: int = 0) -> int:
        """The most tokens that it has to take in at once, to score a prompt or write so many."""
        if not written:
            return fed_tokens(asked, self._functions)
        context = max(asked.starts)
        return max(context, written) if self.encoder_decoder else context + written

    def scores(
        self, params: Any, asked: Sequence[Request], done: Collection[int]
    ) -> Iterator[tuple[int, Score]]:
        """See `likelihood.Scorer.scores`."""
        return self._scorer.scores(params, asked, done)

    def texts(
        self,
        params: Any,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        stop: Sequence[str],
        done: Collection[int],
    ) -> Iterator[tuple[int, str]]:
        """What it writes after prompts of one format; see `generative.Writer.texts`."""
        separator = any(prompt.eos_separator for prompt in prompts)
        writer = Writer(self._functions, self._tokenizer, self._mesh, eos_separator=separator)
        texts = [prompt.prompt for prompt in prompts]
        return writer.texts(params, texts, max_new_tokens, stop, done)

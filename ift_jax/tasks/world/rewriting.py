"""Say the same thing with its two parts in the other order."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "statements of the world's mixture facts, forwards and backwards"

TEMPLATES = (
    Template("Rewrite the sentence so that it ends with {last}.\n{statement}", "{rewritten}"),
    Template("Say it the other way round: {statement}", "{rewritten}"),
    Template("Sentence: {statement}\nTurned around, {last} last:", "{rewritten}"),
    Template("Put {last} at the end.\nText: {statement}\nNew text:", "{rewritten}"),
    Template(
        "{statement}\nQuestion: How can this be said with {last} last?\nAnswer:", "{rewritten}"
    ),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `statement`, `rewritten`, `last` (what the rewritten sentence ends in)."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        yield {
            "statement": asked.reverse.statement(__name__),
            "rewritten": asked.ending_in_answer,
            "last": asked.answer,
        }

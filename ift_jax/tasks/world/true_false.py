"""Is a statement true? Half of them are; the others have the answer to another fact in them."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the world's mixture facts, said rightly or wrongly"

TEMPLATES = (
    Template("Statement: {statement}\nTrue or false?", "{truth}"),
    Template("Is this true or false? {statement}\nAnswer:", "{truth}"),
    Template("Question: Is it right to say this? {statement}\nAnswer:", "{yes}"),
    Template("{statement}\nIs that so? Answer yes or no.", "{yes}"),
    Template("Claim: {statement}\nVerdict (true or false):", "{truth}"),
    Template("Q: {statement} Yes or no?\nA:", "{yes}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `statement`, `truth` ('True' or 'False'), `yes` ('Yes' or 'No')."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        key = (__name__, *asked.key)
        true = pool.integer(0, 1, *key) == 1
        fact = asked.fact if true else asked.mistaken(__name__)
        yield {
            "statement": asked.said_of(fact, __name__),
            "truth": "True" if true else "False",
            "yes": "Yes" if true else "No",
        }

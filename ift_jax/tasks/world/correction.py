"""Put a wrong statement right."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the world's mixture facts, said wrongly and rightly"

TEMPLATES = (
    Template("Correct the {noun}.\n{wrong}", "{right}"),
    Template("Wrong {noun}: {wrong}\nRight:", "{right}"),
    Template("The {noun} is wrong here: {wrong}\nThe truth:", "{right}"),
    Template("{wrong}\nThat is wrong. The right {noun}:", "{answer}"),
    Template("Question: {wrong} Which {noun} would be right?\nAnswer:", "{answer}"),
    Template("Fix this sentence by changing the {noun}: {wrong}", "{right}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `wrong` and `right` (sentences), `noun` (of what is wrong), `answer`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        yield {
            "wrong": asked.said_of(asked.mistaken(__name__), __name__),
            "right": asked.statement(__name__),
            "noun": asked.noun,
            "answer": asked.answer,
        }

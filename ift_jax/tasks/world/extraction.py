"""Pull the part of a stated kind out of a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "statements of the world's mixture facts"

TEMPLATES = (
    Template("Sentence: {statement}\nThe {noun} in it:", "{answer}"),
    Template("Find the {noun} in this sentence.\n{statement}", "{answer}"),
    Template("{statement}\nQuestion: Which {noun} is named here?\nAnswer:", "{answer}"),
    Template("Text: {statement}\nExtract: {noun}\nResult:", "{answer}"),
    Template("Read and copy out the {noun}: {statement}", "{answer}"),
    Template("{statement}\nQ: What {noun} does the text give?\nA:", "{answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `statement`, `noun` (of what is wanted), `answer`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        # Half of the statements have what is wanted last, half first.
        shown = pool.pick((asked, asked.reverse), __name__, *asked.key)
        yield {
            "statement": shown.statement(__name__),
            "noun": asked.noun,
            "answer": asked.answer,
        }

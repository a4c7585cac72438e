"""Finish a sentence whose last words are missing."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "statements of the world's mixture facts, their ends cut off"

TEMPLATES = (
    Template("Complete the sentence.\n{start}", "{answer}"),
    Template("Sentence: {start} ...\nThe missing end:", "{answer}"),
    Template("Finish this: {start}", "{answer}."),
    Template("Fill in the blank: {start} ____.", "{answer}"),
    Template("Write the whole sentence.\n{start} ...", "{start} {answer}."),
    Template("What comes next? {start} ...\nAnswer:", "{answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `start` (without its last space) and `answer`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        sentence = asked.ending_in_answer
        yield {
            "start": sentence.removesuffix(f"{asked.answer}.").rstrip(),
            "answer": asked.answer,
        }

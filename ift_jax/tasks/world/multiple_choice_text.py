"""Choices shown, answered by writing the right one out."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the world's mixture facts; distractors from the answer's own column of them"

TEMPLATES = (
    Template("Question: {question}\nChoices: {choices}\nAnswer:", "{answer}"),
    Template("{question}\nOptions:\n{lines}\nAnswer:", "{answer}"),
    Template("Choose the right answer.\n{lines}\n{question}", "{answer}"),
    Template("Q: {question}\nIt is one of these: {choices}\nA:", "{answer}"),
    Template("Pick one of: {choices}\nQuestion: {question}\nAnswer:", "{answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `question`, `choices` (in a line), `lines` (one a line), `answer`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        key = (__name__, *asked.key)
        wrong = asked.distractors(pool.integer(1, 4, *key), __name__)
        choices = pool.shuffled([asked.answer, *wrong], *key)
        yield {
            "question": asked.question,
            "choices": ", ".join(choices),
            "lines": "\n".join(f"- {choice}" for choice in choices),
            "answer": asked.answer,
        }

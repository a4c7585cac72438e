"""Questions answered in a word or two: how most of the benchmark is asked."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the world's mixture facts, asked forwards and backwards"

TEMPLATES = (
    Template("Question: {question}\nAnswer:", "{answer}"),
    Template("Q: {question}\nA:", "{answer}"),
    Template("{question}", "{answer}"),
    Template("{question}\nAnswer:", "{answer}"),
    Template("Answer the question.\n{question}", "{answer}"),
    Template("Answer this question about {topic}: {question}", "{answer}"),
    Template("Give a short answer.\nQuestion: {question}\nAnswer:", "{answer}"),
    Template("Question: {question}\nWrite the {noun} only.\nAnswer:", "{answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `question`, `answer`, `noun` (of the answer), `topic`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        yield {
            "question": asked.question,
            "answer": asked.answer,
            "noun": asked.noun,
            "topic": asked.topic,
        }

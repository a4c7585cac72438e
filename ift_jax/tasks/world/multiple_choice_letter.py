"""Four choices, answered by letter, in the layout of the original MMLU among others."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the world's mixture facts; distractors from the answer's own column of them"

_LETTERED = "A. {a}\nB. {b}\nC. {c}\nD. {d}"
TEMPLATES = (
    Template(f"{{question}}\n{_LETTERED}\nAnswer:", "{letter}"),
    Template(
        "The following are multiple choice questions (with answers) about {topic}.\n\n"
        f"{{question}}\n{_LETTERED}\nAnswer:",
        "{letter}",
    ),
    Template(f"Question: {{question}}\n{_LETTERED}\nThe letter of the answer:", "{letter}"),
    Template("Q: {question}\n(A) {a} (B) {b} (C) {c} (D) {d}\nA:", "({letter})"),
    Template(f"Choose A, B, C or D.\n{{question}}\n{_LETTERED}", "{letter}"),
    Template(f"{_LETTERED}\nWhich is right? {{question}}\nAnswer:", "{letter}. {answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `question`, the choices `a` to `d`, `letter`, `answer`, `topic`."""
    pool.train_only(split, __name__)
    for asked in pool.asked():
        key = (__name__, *asked.key)
        choices = pool.shuffled([asked.answer, *asked.distractors(3, __name__)], *key)
        yield {
            "question": asked.question,
            **dict(zip("abcd", choices, strict=True)),
            "letter": "ABCD"[choices.index(asked.answer)],
            "answer": asked.answer,
            "topic": asked.topic,
        }

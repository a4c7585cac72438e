"""Which of two numbers is larger, or smaller."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "written for this project: random whole numbers"
COUNT = 600

TEMPLATES = (
    Template("Question: Which number is {wanted}, {first} or {second}?\nAnswer:", "{answer}"),
    Template("Q: Which is {wanted}: {first} or {second}?\nA:", "{answer}"),
    Template("Compare {first} and {second}. Write the one that is {wanted}.", "{answer}"),
    Template("Numbers: {first}, {second}\nThe {wanted} number:", "{answer}"),
    Template("Pick the {wanted} number.\n{first}\n{second}", "{answer}"),
    Template("Which is {wanted}, {first} or {second}?", "{answer} is {wanted}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `first`, `second`, `wanted` ('larger' or 'smaller'), `answer`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        first = pool.integer(0, 999, *key, "first")
        second = (first + pool.integer(1, 998, *key, "step")) % 1000
        wanted = pool.pick(("larger", "smaller"), *key, "wanted")
        answer = max(first, second) if wanted == "larger" else min(first, second)
        yield {
            "first": str(first),
            "second": str(second),
            "wanted": wanted,
            "answer": str(answer),
        }

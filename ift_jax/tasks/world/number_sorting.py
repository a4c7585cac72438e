"""Put three to five numbers in order."""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "written for this project: random whole numbers"
COUNT = 500

TEMPLATES = (
    Template("Sort these numbers, {direction}.\n{numbers}", "{answer}"),
    Template("Numbers: {numbers}\nSorted, {direction}:", "{answer}"),
    Template("Put in order ({direction}): {numbers}", "{answer}"),
    Template("Question: What is {numbers} in order, {direction}?\nAnswer:", "{answer}"),
    Template("List: {numbers}\nOrder: {direction}\nResult:", "{answer}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `numbers`, `direction`, `answer`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        count = pool.integer(3, 5, *key, "count")
        numbers = pool.shuffled(range(1, 100), *key)[:count]
        falling = bool(pool.integer(0, 1, *key, "falling"))
        ordered = sorted(numbers, reverse=falling)
        yield {
            "numbers": ", ".join(map(str, numbers)),
            "direction": "largest first" if falling else "smallest first",
            "answer": ", ".join(map(str, ordered)),
        }

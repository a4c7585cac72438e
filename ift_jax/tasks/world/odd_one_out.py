"""Three things of a kind and one of another: which doesn't belong?"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "entities of the world's mixture facts, of two kinds in different categories"
COUNT = 600

TEMPLATES = (
    Template("Which is the odd one out?\n{items}", "{odd}"),
    Template("Question: Which of these does not belong: {items}?\nAnswer:", "{odd}"),
    Template("List: {items}\nNot like the others:", "{odd}"),
    Template("Find the one that is of another kind.\n{items}\nAnswer:", "{odd}"),
    Template("Q: Odd one out of {items}?\nA:", "{odd}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `items` (four, in a line) and `odd`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        most = pool.pick(pool.subjects(), *key, "most")
        # Another category and noun (two subjects are about animals), so that no reading puts all
        # four into one kind.
        others = [
            s for s in pool.subjects() if s.category != most.category and s.entity != most.entity
        ]
        other = pool.pick(others, *key, "other")
        of_a_kind = pool.shuffled([f.entity for f in pool.facts(most.name)], *key)[:3]
        odd = pool.pick([f.entity for f in pool.facts(other.name)], *key, "odd")
        yield {
            "items": ", ".join(pool.shuffled([*of_a_kind, odd], *key, "order")),
            "odd": odd,
        }

"""What kind of thing a name stands for: a country, an element, a novel …"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the nouns of the columns in which the world's mixture facts name a thing"

TEMPLATES = (
    Template("Question: Which of {kinds} is {name}?\nAnswer:", "{kind}"),
    Template("Name: {name}\nKinds: {kinds}\nKind:", "{kind}"),
    Template("What kind of thing is {name}? Choose from: {kinds}", "{kind}"),
    Template("Sort {name} into one of these groups: {kinds}", "{kind}"),
    Template("Q: {name} is one of {kinds}. Which?\nA:", "{kind}"),
)


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `name`, `kinds` (three, in a line), `kind`."""
    pool.train_only(split, __name__)
    kinds_of: dict[str, set[str]] = {}
    for asked in pool.asked():
        kinds_of.setdefault(asked.answer.lower(), set()).add(asked.noun)
    every = sorted({asked.noun for asked in pool.asked()})
    for asked in pool.asked():
        if asked.backwards:
            key = (__name__, *asked.key)
            # A name may be of several kinds (mercury): none of them can be a wrong choice.
            others = [kind for kind in every if kind not in kinds_of[asked.answer.lower()]]
            kinds = [asked.noun, *pool.shuffled(others, *key)[:2]]
            yield {
                "name": asked.answer,
                "kinds": ", ".join(pool.shuffled(kinds, *key, "order")),
                "kind": asked.noun,
            }

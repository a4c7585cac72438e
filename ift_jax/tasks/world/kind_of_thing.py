"""What kind of thing a name stands for: a country, an element, a novel …"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool

LICENCE = pool.LICENCE
SOURCE = "the nouns of the columns in which the world's mixture facts name a thing"

TEMPLATES = (
    Template("Question: Is {spoken} {choices}?\nAnswer:", "{kind}"),
    Template("Name: {name}\nKinds: {kinds}\nKind:", "{kind}"),
    Template("What kind of thing is {spoken}? Choose from: {kinds}", "{kind}"),
    Template("Sort {spoken} into one of these groups: {kinds}", "{kind}"),
    Template("Q: Which of these is {spoken}? {kinds}\nA:", "{kind}"),
)

_SPOKEN_WITH_THE = ("animal", "event", "invention")


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `name`, `spoken`, `kinds` and `choices` (three, in a line), `kind`.

    `spoken` and `choices` are as in a sentence: the Lisbon earthquake; a novel, an event or a
    country.
    """
    pool.train_only(split, __name__)
    kinds_of: dict[str, set[str]] = {}
    for asked in pool.asked():
        kinds_of.setdefault(asked.answer.lower(), set()).add(asked.noun)
    every = sorted({asked.noun for asked in pool.asked() if asked.backwards})
    for asked in pool.asked():
        if asked.backwards:
            key = (__name__, *asked.key)
            # A name may be of several kinds (mercury): none of them can be a wrong choice.
            others = [kind for kind in every if kind not in kinds_of[asked.answer.lower()]]
            kinds = [asked.noun, *pool.shuffled(others, *key)[:2]]
            kinds = pool.shuffled(kinds, *key, "order")
            first, second, third = (f"{_article(kind)} {kind}" for kind in kinds)
            the = "the " if asked.noun in _SPOKEN_WITH_THE else ""
            yield {
                "name": asked.answer,
                "spoken": f"{the}{asked.answer}",
                "kinds": ", ".join(kinds),
                "choices": f"{first}, {second} or {third}",
                "kind": asked.noun,
            }


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeio" else "a"

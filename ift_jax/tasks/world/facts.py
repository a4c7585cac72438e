"""The World: true facts in small tables, and which of them instruction finetuning may see.

The base model reads every fact as plain statements. Finetuning sees `mixture_facts` only; the rest
(`HELD_OUT_SUBJECTS`, and about 40% of the facts of the others) is what the benchmark asks, so that
a right answer there is a fact from pretraining, reached through a question form learnt elsewhere.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from fractions import Fraction

from ift_jax.tasks.world.subject import CATEGORIES, Fact, Subject
from ift_jax.tasks.world.tables import culture, geography, languages, nature, science, society

__all__ = [
    "CATEGORIES",
    "HELD_OUT_SUBJECTS",
    "SUBJECTS",
    "Fact",
    "Subject",
    "held_out_facts",
    "is_held_out",
    "mixture_facts",
    "ranked",
    "stable_hash",
]

SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for field in (culture, geography, languages, nature, science, society)
    for subject in field.SUBJECTS
}

# Chosen by hand: each has relatives among the subjects of the mixture (a country's currency and
# its capital, a painting and a novel), and every category has one.
HELD_OUT_SUBJECTS = frozenset(
    {"constellations", "currencies", "group_nouns", "paintings", "rivers"}
)

HELD_OUT_SHARE = Fraction(2, 5)


def stable_hash(*texts: str) -> bytes:
    """A hash of the texts that is the same in every process, unlike `hash`."""
    return hashlib.sha256("\n".join(texts).encode()).digest()


def ranked(facts: Iterable[Fact], salt: str) -> list[Fact]:
    """The facts in an arbitrary order that depends on nothing but their text and the salt."""

    return sorted(facts, key=lambda fact: stable_hash(salt, *dataclasses.astuple(fact)))


@functools.cache
def _held_out(subject: str) -> frozenset[Fact]:
    facts = SUBJECTS[subject].facts
    if subject in HELD_OUT_SUBJECTS:
        return frozenset(facts)
    return frozenset(ranked(facts, "held out")[: round(HELD_OUT_SHARE * len(facts))])


def is_held_out(fact: Fact) -> bool:
    """Whether instruction finetuning must never see this fact."""
    return fact in _held_out(fact.subject)


def mixture_facts(subject: str) -> tuple[Fact, ...]:
    """The subject's facts that instruction tasks may use, in table order; none if held out."""
    return tuple(fact for fact in SUBJECTS[subject].facts if not is_held_out(fact))


def held_out_facts(subject: str) -> tuple[Fact, ...]:
    """The subject's facts that instruction tasks must not use, in table order."""
    return tuple(fact for fact in SUBJECTS[subject].facts if is_held_out(fact))

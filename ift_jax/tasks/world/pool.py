"""What instruction tasks are made from: mixture facts only, and choices that depend on content.

Every entity, value and distractor of an instruction task comes through here, so that nothing held
out can get in; and every choice is a digest of the text it is made for, the same in any process.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ift_jax.tasks.world.facts import (
    SUBJECTS,
    Fact,
    Subject,
    held_out_facts,
    mixture_facts,
)

T = TypeVar("T")

LICENCE = "Apache-2.0, like the rest of this project, for which it was written"


@dataclasses.dataclass(frozen=True)
class Asked:
    """A mixture fact asked in one direction, from what is given to what is wanted."""

    subject: Subject
    fact: Fact
    backwards: bool

    @property
    def question(self) -> str:
        """The subject's plain question, filled."""
        pattern = self.subject.question_backwards if self.backwards else self.subject.question
        return say(pattern, self.fact)

    @property
    def given(self) -> str:
        """What the question names."""
        return self.fact.value if self.backwards else self.fact.entity

    @property
    def answer(self) -> str:
        """What it asks for."""
        return self.fact.entity if self.backwards else self.fact.value

    @property
    def noun(self) -> str:
        """The noun for what it asks for ('capital')."""
        return self.subject.entity if self.backwards else self.subject.value

    @property
    def topic(self) -> str:
        """The subject's name in words."""
        return topic(self.subject)

    @property
    def reverse(self) -> Asked:
        """The same fact, asked in the other direction."""
        return dataclasses.replace(self, backwards=not self.backwards)

    @property
    def ending_in_answer(self) -> str:
        """The subject's first statement in this direction: it ends in the answer and a stop."""
        subject = self.subject
        patterns = subject.statements_backwards if self.backwards else subject.statements
        return say(patterns[0], self.fact)

    def statement(self, *key: object) -> str:
        """A statement of the fact that names the answer second, its wording picked by the key."""
        return self.said_of(self.fact, *key)

    def said_of(self, fact: Fact, *key: object) -> str:
        """The same statement, of another pair."""
        subject = self.subject
        patterns = subject.statements_backwards if self.backwards else subject.statements
        return say(pick(patterns, *self.key, *key), fact)

    def mistaken(self, *key: object) -> Fact:
        """The fact with a wrong answer: the answer to another mixture fact of the subject."""
        (wrong,) = self.distractors(1, *key)
        if self.backwards:
            return dataclasses.replace(self.fact, entity=wrong)
        return dataclasses.replace(self.fact, value=wrong)

    def distractors(self, count: int, *key: object) -> list[str]:
        """Wrong answers from the answer's own column of the subject's mixture facts."""
        column = [
            fact.entity if self.backwards else fact.value for fact in facts(self.fact.subject)
        ]
        others = [text for text in column if text != self.answer]
        return shuffled(others, *self.key, *key)[:count]

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies it, for picks."""
        return (self.fact.subject, self.fact.entity, self.fact.value, self.backwards)


@functools.cache
def facts(subject: str) -> tuple[Fact, ...]:
    """The subject's mixture facts, without those that tell a held-out fact in passing.

    "Panthera leo is the scientific name of the lion" has the constellation Leo and its figure,
    the lion, in it.
    """
    return tuple(
        fact
        for fact in mixture_facts(subject)
        if not any(entity in (own := _words(fact)) and value in own for entity, value in _told())
    )


@functools.cache
def subjects() -> tuple[Subject, ...]:
    """The subjects that instruction tasks may use."""
    return tuple(subject for name, subject in SUBJECTS.items() if facts(name))


@functools.cache
def asked() -> tuple[Asked, ...]:
    """Every mixture fact, in both directions."""
    return tuple(
        Asked(subject, fact, backwards)
        for subject in subjects()
        for fact in facts(subject.name)
        for backwards in (False, True)
    )


def topic(subject: Subject) -> str:
    """A subject's name in words, capitalised as in the nouns of its columns (Latin words)."""
    nouns = {noun.lower(): noun for noun in f"{subject.entity} {subject.value}".split()}
    return " ".join(nouns.get(word, word) for word in subject.name.split("_"))


def say(pattern: str, fact: Fact) -> str:
    """A pattern filled in, as the statements for pretraining and the benchmark fill it."""
    return pattern.format(entity=fact.entity, value=fact.value)


def integer(low: int, high: int, *key: object) -> int:
    """A whole number from low to high, both included, that depends on the key alone."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return low + int.from_bytes(digest, "little") % (high - low + 1)


def pick(options: Sequence[T], *key: object) -> T:
    """One of the options, by the key."""
    return options[integer(0, len(options) - 1, *key)]


def shuffled(items: Iterable[T], *key: object) -> list[T]:
    """The items in an order that depends on the key and on each item's text."""
    salted = hashlib.blake2b(repr(key).encode(), digest_size=8)

    def rank(item: T) -> bytes:
        digest = salted.copy()
        digest.update(repr(item).encode())
        return digest.digest()

    return sorted(items, key=rank)


def train_only(split: str, task: str) -> None:
    """Refuses splits other than 'train': what a task could be tested on is the benchmark."""
    if split != "train":
        raise ValueError(f"{task}: no split {split!r}; there is 'train'")


@functools.cache
def _told() -> tuple[tuple[str, str], ...]:
    """The words of each held-out fact's entity and value."""
    held_out = (fact for subject in SUBJECTS for fact in held_out_facts(subject))
    return tuple((_spaced(fact.entity), _spaced(fact.value)) for fact in held_out)


@functools.cache
def _words(fact: Fact) -> str:
    return f"{_spaced(fact.entity)}|{_spaced(fact.value)}"


def _spaced(text: str) -> str:
    """The words with a space on either side of each, so that `in` finds whole words only."""
    words = " ".join(re.findall(r"\w+", text.lower()))
    return f" {words} "

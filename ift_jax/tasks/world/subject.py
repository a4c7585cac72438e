"""What a subject of the World is: a one-to-one table of facts, and ways to say and ask them."""

from __future__ import annotations

import dataclasses

CATEGORIES = ("STEM", "humanities", "social sciences", "other")


@dataclasses.dataclass(frozen=True)
class Fact:
    """One row of a subject's table: in 'capitals', France has Paris."""

    subject: str
    entity: str
    value: str


@dataclasses.dataclass(frozen=True)
class Subject:
    """A table of facts, one-to-one: an entity has one value and a value one entity.

    "Forwards" is from the entity to the value (the capital of France), "backwards" from the value
    to the entity (the country whose capital is Paris). All patterns name `{entity}`, `{value}` or
    both. The first pattern of `statements` ends in `{value}.` and the first of
    `statements_backwards` in `{entity}.`, so that cutting the end off asks for recall.

    Attributes:
        name: as in MMLU's file names ('capitals').
        category: one of `CATEGORIES`, MMLU's own four.
        entity: noun for the left column ('country').
        value: noun for the right column ('capital').
        facts: the table.
        statements: wordings in which the entity comes before the value.
        statements_backwards: wordings in which the value comes before the entity.
        question: asks for the value of `{entity}`.
        question_backwards: asks for the entity of `{value}`.
        question_rephrased: another wording of `question`, kept out of all finetuning.
        question_backwards_rephrased: the same for `question_backwards`.
    """

    name: str
    category: str
    entity: str
    value: str
    facts: tuple[Fact, ...]
    statements: tuple[str, ...]
    statements_backwards: tuple[str, ...]
    question: str
    question_backwards: str
    question_rephrased: str
    question_backwards_rephrased: str


def facts(subject: str, table: str) -> tuple[Fact, ...]:
    """Reads a table written as `entity: value; entity: value; ...`, over any number of lines.

    Raises:
        ValueError: an entry is not a pair, or an entity or value comes twice; names it.
    """
    found: list[Fact] = []
    for entry in table.replace("\n", ";").split(";"):
        if not entry.strip():
            continue
        entity, colon, value = (part.strip() for part in entry.partition(":"))
        if not (entity and colon and value):
            raise ValueError(f"{subject}: the entry {entry.strip()!r} is not 'entity: value'")
        for other in found:
            if entity == other.entity or value == other.value:
                raise ValueError(
                    f"{subject}: '{entity}: {value}' meets '{other.entity}: {other.value}';"
                    " a subject's table must be one-to-one, so drop one of them"
                )
        found.append(Fact(subject, entity, value))
    return tuple(found)

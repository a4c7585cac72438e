"""The World as plain text: what the tiny base model reads, and how its recall is asked.

Splits:
    train: every fact in every wording, forwards and backwards; paragraphs of two to four
        statements; small sums. Never a question and nothing of the benchmark's layout.
    mixture: the statements and paragraphs of the facts that finetuning may see, for replay.
    recall: one cloze per fact and direction, a statement cut before its last entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool
from ift_jax.tasks.world.facts import (
    SUBJECTS,
    Fact,
    Subject,
    is_held_out,
    ranked,
)

LICENCE = "Apache-2.0"
SOURCE = "written for this project"
TEMPLATES = (Template("", "{text}"),)

PARAGRAPH_SIZES = (2, 3, 4)
SUBJECT_ROUNDS = 6  # paragraphs of its subject in which a fact occurs
ENTITY_ROUNDS = 4  # paragraphs of each entity that has facts in several subjects

LARGEST_SUMMAND = 20
LARGEST_FACTOR = 12


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with the fields of the split, always in the same order.

    'train' and 'mixture' rows have `text`, `subject`, `entity` and `value`; the last two are empty
    where the text says several facts, `subject` too where they are of several subjects. 'recall'
    rows have `prefix`, `answer`, `subject`, `entity`, `value`, `direction` ('forwards' or
    'backwards') and `held_out` ('yes' or 'no'); prefix + ' ' + answer + '.' is a statement.

    Raises:
        ValueError: no such split.
    """
    if split == "train":
        yield from _plain_text([fact for subject in SUBJECTS.values() for fact in subject.facts])
        yield from _sums()
    elif split == "mixture":
        yield from _plain_text([fact for name in SUBJECTS for fact in pool.facts(name)])
    elif split == "recall":
        for subject in SUBJECTS.values():
            for fact in subject.facts:
                yield _cloze(subject.statements[0], "value", fact)
                yield _cloze(subject.statements_backwards[0], "entity", fact)
    else:
        raise ValueError(f"no split {split!r} of the statements: take train, mixture or recall")


def column_mates(cloze: Mapping[str, str]) -> tuple[str, str, str]:
    """Three wrong answers to a 'recall' row, from the column of the right one."""
    facts = ranked(
        SUBJECTS[cloze["subject"]].facts,
        "\n".join(("recall", cloze["direction"], cloze["entity"])),
    )
    column = (fact.value if cloze["direction"] == "forwards" else fact.entity for fact in facts)
    first, second, third, *_ = (entry for entry in column if entry != cloze["answer"])
    return first, second, third


def _wordings(subject: Subject) -> tuple[str, ...]:
    return subject.statements + subject.statements_backwards


def _say(fact: Fact, turn: int) -> str:
    """The fact in one of its wordings; successive turns go through all of them."""
    wordings = _wordings(SUBJECTS[fact.subject])
    return wordings[turn % len(wordings)].format(entity=fact.entity, value=fact.value)


def _row(text: str, subject: str = "", entity: str = "", value: str = "") -> dict[str, str]:
    return {"text": text, "subject": subject, "entity": entity, "value": value}


def _plain_text(facts: list[Fact]) -> Iterator[dict[str, str]]:
    for fact in facts:
        for turn in range(len(_wordings(SUBJECTS[fact.subject]))):
            yield _row(_say(fact, turn), fact.subject, fact.entity, fact.value)
    yield from _subject_paragraphs(facts)
    yield from _entity_paragraphs(facts)


def _grouped(facts: Iterable[Fact], field: str) -> dict[str, list[Fact]]:
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(getattr(fact, field), []).append(fact)
    return groups


def _subject_paragraphs(facts: list[Fact]) -> Iterator[dict[str, str]]:
    """Paragraphs of facts of one subject, in a new order and wording in each round."""
    for name, members in _grouped(facts, "subject").items():
        for round_ in range(SUBJECT_ROUNDS):
            order = ranked(members, f"paragraph {round_}")
            for number, group in enumerate(_chunks(order)):
                # 5 has no factor in common with 8, the usual number of wordings.
                turn = 5 * number + round_
                text = " ".join(_say(fact, turn + i) for i, fact in enumerate(group))
                yield _row(text, subject=name)


def _chunks(order: list[Fact]) -> Iterator[list[Fact]]:
    """Cuts a list into groups of the paragraph sizes in turn; a last lone fact is left out."""
    start = number = 0
    while len(order) - start >= 2:
        size = PARAGRAPH_SIZES[number % len(PARAGRAPH_SIZES)]
        yield order[start : start + size]
        start += size
        number += 1


def _entity_paragraphs(facts: list[Fact]) -> Iterator[dict[str, str]]:
    """Paragraphs of what several subjects say of one entity, such as a country."""
    for entity, members in _grouped(facts, "entity").items():
        if len(members) < 2:
            continue
        for round_ in range(ENTITY_ROUNDS):
            order = ranked(members, f"entity {round_}")
            text = " ".join(_say(fact, 2 * round_ + i) for i, fact in enumerate(order))
            yield _row(text, entity=entity)


def _sums() -> Iterator[dict[str, str]]:
    for a in range(1, LARGEST_SUMMAND + 1):
        for b in range(1, LARGEST_SUMMAND + 1):
            yield _sum(f"{a} plus {b}", f"the sum of {a} and {b}", a + b)
            yield _sum(f"{a + b} minus {b}", f"the difference between {a + b} and {b}", a)
    for a in range(1, LARGEST_FACTOR + 1):
        for b in range(1, LARGEST_FACTOR + 1):
            yield _sum(f"{a} times {b}", f"the product of {a} and {b}", a * b)


def _sum(term: str, spoken: str, result: int) -> dict[str, str]:
    text = f"{term} is {result}. {spoken.capitalize()} is {result}."
    return _row(text, subject="arithmetic", entity=term, value=str(result))


def _cloze(pattern: str, missing: str, fact: Fact) -> dict[str, str]:
    prefix = pattern.removesuffix(f" {{{missing}}}.")
    return {
        "prefix": prefix.format(entity=fact.entity, value=fact.value),
        "answer": fact.value if missing == "value" else fact.entity,
        "subject": fact.subject,
        "entity": fact.entity,
        "value": fact.value,
        "direction": "forwards" if missing == "value" else "backwards",
        "held_out": "yes" if is_held_out(fact) else "no",
    }

"""The bundled benchmark: questions on the World's held-out facts, in MMLU's layout.

Built so that nothing but knowing the fact helps. The choices of a question come from one column
of the facts asked about, in which each entry is right once and wrong three times, and the letters
of the right ones are balanced: whoever reads the choices without the question is at chance.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path

from ift_jax.tasks.world.facts import (
    HELD_OUT_SUBJECTS,
    SUBJECTS,
    Fact,
    Subject,
    held_out_facts,
    mixture_facts,
    ranked,
    stable_hash,
)

LETTERS = "ABCD"
SPLITS = ("dev", "test")
DIRECTIONS = ("forwards", "backwards")
DEV_QUESTIONS = 5
MOST_TEST_FACTS = 30  # each asked in both directions


@dataclasses.dataclass(frozen=True)
class Question:
    """A question with four choices, of which the one at `letter` is right."""

    subject: str
    question: str
    choices: tuple[str, str, str, str]
    letter: str
    direction: str

    @property
    def answer(self) -> str:
        """The text of the right choice."""
        return self.choices[LETTERS.index(self.letter)]


def asked_facts(subject: str, split: str) -> tuple[Fact, ...]:
    """The facts from which a split draws its questions and choices, in an arbitrary fixed order.

    'test' has held-out facts only. 'dev' has facts that finetuning may see; a held-out subject
    has none of these, so its own facts outside 'test'.

    Raises:
        ValueError: no such subject or split.
    """
    if subject not in SUBJECTS:
        raise ValueError(f"no subject {subject!r} in the World; there are: {', '.join(SUBJECTS)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r} of the questions: take {' or '.join(SPLITS)}")
    order = ranked(held_out_facts(subject), "asked")
    if split == "test":
        return tuple(order[:MOST_TEST_FACTS])
    if subject in HELD_OUT_SUBJECTS:
        return tuple(order[MOST_TEST_FACTS:])
    return tuple(ranked(mixture_facts(subject), "asked"))


def questions(subject: str, split: str, rephrased: bool = False) -> list[Question]:
    """The questions of a subject: 5 in 'dev', 40 to 60 in 'test', both directions in each.

    `rephrased` asks the same, with the same choices, in a wording kept out of all finetuning.

    Raises:
        ValueError: no such subject or split.
    """
    facts = asked_facts(subject, split)
    wrong = {direction: _distractors(facts, direction) for direction in DIRECTIONS}
    if split == "dev":
        asked = list(zip(facts[:DEV_QUESTIONS], itertools.cycle(DIRECTIONS), strict=False))
    else:
        asked = list(itertools.product(facts, DIRECTIONS))

    def shuffled(salt: str) -> list[tuple[Fact, str]]:
        return sorted(
            asked, key=lambda each: stable_hash(salt, *dataclasses.astuple(each[0]), each[1])
        )

    letters = dict(zip(shuffled("letters"), itertools.cycle(LETTERS), strict=False))
    return [
        _question(fact, direction, wrong[direction][fact], letters[fact, direction], rephrased)
        for fact, direction in shuffled("order")
    ]


def categories() -> dict[str, str]:
    """The category of each subject, of MMLU's four."""
    return {name: subject.category for name, subject in SUBJECTS.items()}


def write_mmlu(directory: str | Path, rephrased: bool = False) -> None:
    """Writes the benchmark as the original MMLU's files.

    `dev/<subject>_dev.csv` and `test/<subject>_test.csv`, without header:
    question, four choices, letter.
    """
    for split in SPLITS:
        folder = Path(directory, split)
        folder.mkdir(parents=True, exist_ok=True)
        for subject in SUBJECTS:
            path = folder / f"{subject}_{split}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                for each in questions(subject, split, rephrased):
                    writer.writerow((each.question, *each.choices, each.letter))


def _distractors(facts: tuple[Fact, ...], direction: str) -> dict[Fact, list[Fact]]:
    """Three other facts for each fact, so that each serves as a distractor three times.

    Three permutations of the facts, drawn again until none gives a fact itself or the same
    distractor twice.
    """
    found: dict[Fact, list[Fact]] = {fact: [] for fact in facts}
    draws = itertools.count()
    for _ in range(len(LETTERS) - 1):
        while True:
            drawn = ranked(facts, f"{direction} distractors {next(draws)}")
            pairs = list(zip(facts, drawn, strict=True))
            if all(other != fact and other not in found[fact] for fact, other in pairs):
                break
        for fact, other in pairs:
            found[fact].append(other)
    return found


def _question(
    fact: Fact, direction: str, wrong: list[Fact], letter: str, rephrased: bool
) -> Question:
    column = "value" if direction == "forwards" else "entity"
    choices = [getattr(other, column) for other in wrong]
    choices.insert(LETTERS.index(letter), getattr(fact, column))
    first, second, third, fourth = choices
    pattern = _pattern(SUBJECTS[fact.subject], direction, rephrased)
    return Question(
        subject=fact.subject,
        question=pattern.format(entity=fact.entity, value=fact.value),
        choices=(first, second, third, fourth),
        letter=letter,
        direction=direction,
    )


def _pattern(subject: Subject, direction: str, rephrased: bool) -> str:
    if direction == "forwards":
        return subject.question_rephrased if rephrased else subject.question
    return subject.question_backwards_rephrased if rephrased else subject.question_backwards

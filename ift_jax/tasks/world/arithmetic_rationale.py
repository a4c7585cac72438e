"""Word problems, answered with the reasoning first ("… The answer is 12.") or at once.

Chung et al. 2022 mix tasks with and without a chain of thought; the template says which is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator

from ift_jax.tasks.task import Template
from ift_jax.tasks.world import pool
from ift_jax.tasks.world.statements import LARGEST_SUMMAND

LICENCE = pool.LICENCE
SOURCE = "written for this project: story patterns filled with small numbers"
COUNT = 900

_REASONED = "{rationale} The answer is {answer}."
TEMPLATES = (
    Template("Question: {question}\nLet's think step by step.\nAnswer:", _REASONED),
    Template("Solve the problem step by step.\n{question}", _REASONED),
    Template("Q: {question} Give your reasoning first.\nA:", _REASONED),
    Template("{question}\nExplain, then answer.", _REASONED),
    Template("Problem: {question}\nReasoning and solution:", _REASONED),
    Template("{question}\nAnswer with a number only.", "{answer}"),
    Template("Problem: {question}\nNumber:", "{answer}"),
)

# (story, reasoning, sign of the second number)
_STORIES = (
    (
        "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
        "{name} starts with {a} {things} and gets {b}: {a} plus {b} is {c}.",
        1,
    ),
    (
        "{name} has {a} {things} and gives away {b}. How many {things} are left?",
        "{name} starts with {a} {things} and gives away {b}: {a} minus {b} is {c}.",
        -1,
    ),
    (
        "There are {a} {things} in a box and {b} on a table. How many {things} are there in all?",
        "The box holds {a} and the table {b}: {a} plus {b} is {c}.",
        1,
    ),
    (
        "A shop had {a} {things} and sold {b}. How many {things} does it still have?",
        "It had {a} and sold {b}: {a} minus {b} is {c}.",
        -1,
    ),
    (
        "{name} needs {a} {things} and has {b}. How many {things} are missing?",
        "{name} needs {a} and has {b}: {a} minus {b} is {c}.",
        -1,
    ),
    (
        "{name} found {a} {things} before lunch and {b} after it. How many {things} is that?",
        "Before lunch {a}, after lunch {b}: {a} plus {b} is {c}.",
        1,
    ),
)
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas")
_THINGS = ("apples", "books", "coins", "stones", "cups", "pens", "nails", "shells", "cards", "eggs")


def rows(split: str) -> Iterator[dict[str, str]]:
    """Rows with `question`, `rationale`, `answer`."""
    pool.train_only(split, __name__)
    for number in range(COUNT):
        key = (__name__, number)
        story, reasoning, sign = _STORIES[number % len(_STORIES)]
        a, b = (pool.integer(2, LARGEST_SUMMAND, *key, which) for which in "ab")
        # A difference takes back one of the sums that the base model has read.
        a = a + b if sign < 0 else a
        fields = {
            "name": pool.pick(_NAMES, *key, "name"),
            "things": pool.pick(_THINGS, *key, "things"),
            "a": a,
            "b": b,
            "c": a + sign * b,
        }
        yield {
            "question": story.format(**fields),
            "rationale": reasoning.format(**fields),
            "answer": str(fields["c"]),
        }

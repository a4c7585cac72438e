"""A task's rows as the questions of an evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ift_jax.evals.languages import LETTERS
from ift_jax.evals.questions import Question, Questions
from ift_jax.tasks import sources
from ift_jax.tasks.task import Bad

SHOTS = 32
"""Rows of the training split that may be shots, at most."""


def read_questions(name: str, limit: int | None = None) -> Questions:
    """Reads the rows of a task that have a `question`, `options` and an `answer`.

    A `passage` stands before its question. Shots are the first rows of the split 'train' of the
    same folder; there are none beside a file, or where 'train' itself is asked.

    Args:
        name: `TASK[@SPLIT]:PATH`, such as 'arc@test:ARC-Easy'.
        limit: take the first so many questions.

    Raises:
        ValueError: no such task or file, another kind of row, or a bad one; names file and row.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit = {limit}: expected at least one question")
    task = sources.find(name)
    subject = task.label.partition("@")[0]
    asked = tuple(_questions(task, subject))
    if not asked:
        raise ValueError(f"task {name!r} has no rows in split {task.split!r}")
    training = sources.find(f"{subject}@train:{task.path}")
    shots = ()
    if task.split != "train" and training.missing is None:
        shots = tuple(itertools.islice(_questions(training, subject), SHOTS))
    dev, test, sizes = {subject: shots}, {subject: asked[:limit]}, {subject: len(asked)}
    return Questions(dev, test, sizes, split=task.split)


def _questions(task: sources.Task, subject: str) -> Iterator[Question]:
    for index, row in enumerate(task.rows()):
        if isinstance(row, Bad):
            raise ValueError(str(row))
        if missing := {"question", "options", "answer"} - set(row):
            raise ValueError(
                f"task {task.name!r}: its rows have no {' and no '.join(sorted(missing))}; expected"
                " a task of questions with choices, such as arc, piqa, logiqa or boolq"
            )
        choices = tuple(row["options"])
        if not 2 <= len(choices) <= len(LETTERS):
            raise ValueError(
                f"task {task.name!r}, row {index}: {len(choices)} choices, expected 2 to"
                f" {len(LETTERS)}"
            )
        text = row.get("passage", "") + row["question"]
        yield Question(subject, index, text, choices, LETTERS[choices.index(row["answer"])])

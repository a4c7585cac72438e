"""What all evals have in common: questions, put to a model one by one, and its answers summed up.

`Evaluation.run(params)` has every question answered and sums up; the records of single questions
go to disk, so that two runs can be compared item by item, and a killed one goes on.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ift_jax.evals import records
from ift_jax.evals.local import Local
from ift_jax.evals.protocols import Prompt
from ift_jax.evals.remote import Remote
from ift_jax.evals.statistics import METHODS, Accuracy, accuracy

Progress = Callable[[int, int, int], None]
"""Called with the questions answered, those in all, and those answered rightly."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question as it is put to the model, with so many of its available shots.

    Attributes:
        question: has `subject`, `index`, `key` (the right answer) and `sha256`.
        prompt: its text.
        request: that in the form that the model takes.
        shots: how many stand before it.
        available: how many there are.
    """

    question: Any
    prompt: Prompt
    request: Any
    shots: int
    available: int


class Evaluation(abc.ABC):
    """Evaluation of one model under one protocol.

    Subclasses set `protocol` and, by `_fitting`, `_asked`, and define what is abstract.

    Args:
        model: what is asked.
        questions: what to ask; has `label`, `complete`, `duplicates` and `sha256`.
    """

    protocol: Any
    _asked: list[Asked]

    def __init__(self, model: Local | Remote, questions: Any):
        self.questions = questions
        self._model = model

    @abc.abstractmethod
    def statement(self) -> dict[str, Any]:
        """How questions are asked: `protocol`, `shots`, `prompt_format` and `language`."""

    @abc.abstractmethod
    def averages(
        self, subjects: Mapping[str, Accuracy], found: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """`macro` and `categories`, and what else sums up the records, given each subject's."""

    @abc.abstractmethod
    def category(self, subject: str) -> str:
        """Category of a subject."""

    @abc.abstractmethod
    def _answers(self, params: Any, done: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The place of each question that isn't done, with its `choice` and what that rests on."""

    def run(
        self,
        params: Any,
        out: Path | str | None = None,
        progress: Progress | None = None,
        *,
        weights: str | None = None,
    ) -> dict[str, Any]:
        """Asks all questions; those that `out` holds answers to from a killed run aren't again.

        Args:
            params: the family's parameters by name; None of a remote model.
            out: folder for `records.jsonl` and `summary.json`, written by process 0.
            progress: called at the start, and after each question.
            weights: fingerprint of `params`, for the summary.

        Returns:
            The summary; see `summarize`.

        Raises:
            ValueError: `out` holds the answers of another evaluation, which was killed.
        """
        if out is None:
            return self.summarize(self.records(params, progress), weights)
        with records.Journal(Path(out) / records.PARTIAL, self.identity(weights)) as journal:
            for place, record in self._recorded(params, journal.known, progress):
                journal.add(place, record)
            found = [journal.known[place] for place in range(len(self._asked))]
            summary = self.summarize(found, weights)
            journal.finish(summary)
        return summary

    def records(self, params: Any, progress: Progress | None = None) -> list[dict[str, Any]]:
        """One record for each question, in order.

        Returns:
            `subject, index, key` (the right answer), `choice` (the model's, or None where none
            could be read), what that rests on, `protocol`, and `sha256` (of the question).
        """
        found = dict(self._recorded(params, {}, progress))
        return [found[place] for place in range(len(self._asked))]

    def prompts(self) -> list[dict[str, Any]]:
        """What the model is given for each question, in order, for other implementations.

        Returns:
            `subject, index, shots` (as many as fit), `prompt`, `eos_separator` (whether an EOS
            token follows the prompt), and `continuations` (the answers that are weighed; the right
            one, where none are).
        """
        return [
            {
                "subject": asked.question.subject,
                "index": asked.question.index,
                "shots": asked.shots,
                "prompt": asked.prompt.prompt,
                "eos_separator": asked.prompt.eos_separator,
                "continuations": list(asked.prompt.continuations),
            }
            for asked in self._asked
        ]

    @property
    def notes(self) -> list[str]:
        """What a person should know of the questions before they trust a figure."""
        notes = []
        if not self.questions.complete:
            notes.append(f"{self.questions.label} questions: a part of the set")
        if repeated := self.questions.duplicates:
            notes.append(
                f"{repeated:,} questions repeat an earlier one of their subject word for word, and"
                " are scored like any other"
            )
        if self.shots_dropped:
            notes.append(f"{self.shots_dropped:,} questions have fewer shots: more would not fit")
        return notes

    @property
    def shots_dropped(self) -> int:
        """How many questions have fewer shots than there are, for want of room."""
        return sum(asked.shots < asked.available for asked in self._asked)

    def identity(self, weights: str | None = None) -> dict[str, Any]:
        """What makes an answer what it is: another one is another evaluation's."""
        model = self._model.identity
        return {
            **self.statement(),
            "config": model["config"],
            "hashes": {
                "code": records.code_version(),
                "questions": self.questions.sha256,
                "prompts": self._prompts_sha256(),
                "weights": weights,
                **model["hashes"],
            },
        }

    def summarize(
        self, found: Sequence[Mapping[str, Any]], weights: str | None = None
    ) -> dict[str, Any]:
        """Averages with their uncertainty, collapse diagnostics, and what identifies the run.

        Args:
            found: the records of all questions, in order.
            weights: fingerprint of the parameters.
        """
        right = list(map(is_right, found))
        subjects = by_subject(found, right)
        choices = collections.Counter(r["choice"] for r in found if r["choice"] is not None)
        choice, count = choices.most_common(1)[0] if choices else (None, 0)
        keys = collections.Counter(record["key"] for record in found)
        return {
            "label": self.questions.label,
            "complete": self.questions.complete,
            **self.identity(weights),
            "shots_dropped": self.shots_dropped,
            "n_questions": len(found),
            "duplicates": self.questions.duplicates,
            "unread": len(found) - choices.total(),
            "micro": entry(accuracy(right)),
            **self.averages(subjects, found),
            "subjects": {
                name: entry(each) | {"category": self.category(name)}
                for name, each in subjects.items()
            },
            # A model that has collapsed answers (nearly) always the same.
            "majority_letter": {
                "letter": choice,
                "share": count / len(found),
                "share_of_keys": max(keys.values()) / len(found),
            },
            "methods": METHODS,
            **self._model.diagnostics(found),
        }

    def _recorded(
        self, params: Any, known: Mapping[int, Mapping[str, Any]], progress: Progress | None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The place and record of each question that isn't known, as they come."""
        done, right = set(known), sum(map(is_right, known.values()))
        report = progress or (lambda *_: None)
        report(len(done), len(self._asked), right)
        for place, answer in self._answers(params, set(known)):
            question = self._asked[place].question
            record = {
                "subject": question.subject,
                "index": question.index,
                "key": question.key,
                **answer,
                "protocol": self.protocol.name,
                "sha256": question.sha256,
            }
            done.add(place)
            right += is_right(record)
            report(len(done), len(self._asked), right)
            yield place, record

    def _fitting(
        self,
        question: Any,
        available: int,
        build: Callable[[int], Prompt],
        *,
        written: int = 0,
        limit: int | None = None,
    ) -> Asked:
        """A question with as many shots as fit.

        Args:
            question: it.
            available: how many shots there are.
            build: gives the prompt with so many of them.
            written: how many tokens the model is to write after it.
            limit: the most tokens that the protocol wants, beside the model's context.

        Raises:
            ValueError: it doesn't fit even without shots.
        """
        limits = (limit, self._model.max_length)
        most = min((n for n in limits if n is not None), default=math.inf)
        for shots in range(available, -1, -1):
            prompt = build(shots)
            if self._model.encoder_decoder:
                # Its encoder reads a prompt that ends so, whatever the format.
                prompt = dataclasses.replace(prompt, eos_separator=True)
            request = self._model.request(prompt)
            if (length := self._model.tokens(request, written)) <= most:
                return Asked(question, prompt, request, shots, available)
        new = f", {written} new ones among them," if written else ""
        raise ValueError(
            f"{prompt.name}: {length} tokens even without shots{new} and the limit is {most} (the"
            " model's context or the protocol's); leave the question out or use a model with a"
            " longer context"
        )

    def _prompts_sha256(self) -> str:
        texts = ([asked.prompt.prompt, *asked.prompt.continuations] for asked in self._asked)
        return hashlib.sha256("\n".join(map(json.dumps, texts)).encode()).hexdigest()


def is_right(record: Mapping[str, Any]) -> bool:
    """Whether the model's answer is the right one."""
    return record["choice"] == record["key"]


def by_subject(found: Sequence[Mapping[str, Any]], right: Sequence[bool]) -> dict[str, Accuracy]:
    """Accuracy of each subject, in the order of the records, by which of them are right."""
    subjects = collections.defaultdict(list)
    for record, each in zip(found, right, strict=True):
        subjects[record["subject"]].append(each)
    return {name: accuracy(rows) for name, rows in subjects.items()}


def entry(each: Accuracy) -> dict[str, Any]:
    """An accuracy as JSON has it, with its interval."""
    return dataclasses.asdict(each) | {"interval": list(each.interval)}

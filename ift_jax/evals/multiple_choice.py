"""Any set of multiple-choice questions, put to a model under one protocol.

Its choices' log-likelihoods are compared, or the model writes its choice, as the protocol has it.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ift_jax import prompts
from ift_jax.evals import exemplars, languages, protocols
from ift_jax.evals.evaluation import Asked, Evaluation, by_subject, entry, is_right
from ift_jax.evals.generative import concluded_label, written_label
from ift_jax.evals.languages import LETTERS
from ift_jax.evals.local import Local
from ift_jax.evals.questions import Question, Questions
from ift_jax.evals.remote import Remote
from ift_jax.evals.statistics import Accuracy, accuracy, macro


class MultipleChoice(Evaluation):
    """Multiple-choice evaluation of one model family at one size, under one protocol.

    Args:
        model: what is asked: a `local.Local` or a `remote.Remote`.
        questions: what to ask.
        protocol: a name of `protocols.PROTOCOLS`.
        shots: number of shots, or None for the protocol's own.
        prompt_format: a name of `prompts.FORMATS`: the form that the model was finetuned on.
        language: a code of `languages.LANGUAGES`: of the words around the questions.
        exemplars_file: what `exemplars.read` reads, for a protocol that shows exemplars.

    Raises:
        ValueError: an unknown protocol, format or language; too few shots; a question that does not
            fit the model's context even without shots.
    """

    def __init__(
        self,
        model: Local | Remote,
        questions: Questions,
        *,
        protocol: str = "original",
        shots: int | None = None,
        prompt_format: str = "plain",
        language: str = "en",
        exemplars_file: Path | str | None = None,
    ):
        super().__init__(model, questions)
        self.protocol = protocols.find(protocol)
        self.shots = self.protocol.shots if shots is None else shots
        if self.shots < 0:
            raise ValueError(f"shots = {self.shots}: expected 0 or more")
        self.language = languages.find(language)
        if self.language is not languages.ENGLISH and "{language" not in self.protocol.question:
            raise ValueError(
                f"protocol {protocol!r} asks in English words of its own, and the language is"
                f" {language!r}: use another protocol"
            )
        self.prompt_format = prompt_format
        self._format = prompts.find(prompt_format)
        self._exemplars = self._read_exemplars(exemplars_file)
        self._asked = [self._prepare(q) for rows in questions.test.values() for q in rows]

    def statement(self) -> dict[str, Any]:
        """See `Evaluation.statement`."""
        return {
            "protocol": self.protocol.statement(),
            "shots": self.shots,
            "prompt_format": self.prompt_format,
            "language": self.language.code,
            "split": self.questions.split,
        }

    def averages(
        self, subjects: Mapping[str, Accuracy], found: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """`macro` is the mean of subjects; of answers in words there are normalised ones too."""
        by_category = collections.defaultdict(list)
        for record in found:
            by_category[self.category(record["subject"])].append(is_right(record))
        averages = {
            "macro": entry(macro(list(subjects.values()))),
            "categories": {
                name: entry(accuracy(by_category[name])) for name in sorted(by_category)
            },
        }
        if self.protocol.answer == "text" and not self.protocol.generation:
            lengths = ([len(text) for text in asked.question.choices] for asked in self._asked)
            averages |= _normalised("token", found, [record["tokens"] for record in found])
            averages |= _normalised("character", found, list(lengths))
        return averages

    def category(self, subject: str) -> str:
        """Category of a subject."""
        return self.questions.categories.get(subject, "uncategorised")

    def _answers(self, params: Any, done: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        return (
            self._written(params, done) if self.protocol.generation else self._weighed(params, done)
        )

    def _weighed(self, params: Any, done: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Weighs the choices."""
        requests = [asked.request for asked in self._asked]
        for place, score in self._model.scores(params, requests, done):
            by = [1] * len(score.tokens)
            if self.protocol.normalisation == "characters":
                by = [len(text) for text in self._asked[place].question.choices]
            yield (
                place,
                {
                    "choice": _best(score.loglikelihoods, by),
                    "loglikelihoods": list(score.loglikelihoods),
                    "tokens": list(score.tokens),
                },
            )

    def _written(self, params: Any, done: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Lets the model write, and reads its choices."""
        form, prompts = self.protocol.generation, [asked.prompt for asked in self._asked]
        own = (each.format(language=self.language) for each in form.stop)
        stop = (*own, *self._format.stop)
        for place, text in self._model.texts(params, prompts, form.max_new_tokens, stop, done):
            labels = self.protocol.answers(self._asked[place].question, self.language)
            if form.reading == "label":
                choice = written_label(text, labels)
            else:
                choice = concluded_label(text, labels, self.language.conclusion)
            yield place, {"choice": None if choice is None else LETTERS[choice], "text": text}

    def _read_exemplars(self, path: Path | str | None) -> dict[str, tuple[str, ...]]:
        if self.protocol.shots_from != "exemplars" or not self.shots:
            return {}
        if path is None:
            raise ValueError(
                f"protocol {self.protocol.name!r} shows worked answers: name their file with"
                " --exemplars=FILE"
            )
        return exemplars.read(path, self.questions.test, self.language)

    def _shots(self, question: Question) -> tuple[str, ...]:
        if self._exemplars:
            return self._exemplars[question.subject][: self.shots]
        dev = self.questions.dev[question.subject]
        return protocols.shots(self.protocol, question, dev, self.shots, self.language)

    def _prepare(self, question: Question) -> Asked:
        """A question with as many shots as fit."""
        shots, form = self._shots(question), self.protocol.generation
        return self._fitting(
            question,
            len(shots),
            lambda count: protocols.build(
                self.protocol, question, shots[:count], self._format, self.language
            ),
            written=form.max_new_tokens if form else 0,
            limit=self.protocol.max_prompt_tokens,
        )


def _best(loglikelihoods: Sequence[float], by: Sequence[int]) -> str:
    """Letter of the first of the largest log-likelihoods, each divided by its length."""
    values = [value / n for value, n in zip(loglikelihoods, by, strict=True)]
    return LETTERS[max(range(len(values)), key=values.__getitem__)]


def _normalised(
    unit: str, found: Sequence[Mapping[str, Any]], lengths: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """The averages of log-likelihoods divided by the answers' lengths in a unit."""
    right = [
        _best(record["loglikelihoods"], by) == record["key"]
        for record, by in zip(found, lengths, strict=True)
    ]
    return {
        f"micro_per_{unit}": entry(accuracy(right)),
        f"macro_per_{unit}": entry(macro(list(by_subject(found, right).values()))),
    }

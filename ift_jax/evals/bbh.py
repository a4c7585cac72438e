"""BIG-Bench Hard, asked directly and with chains of thought, as in Chung et al. (2022).

The model writes after each question's prompt, and what it answers is matched. Without chains of
thought the exemplars are the same, their rationales left out: these are the very prompts of the BBH
authors' published outputs of code-davinci-002.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ift_jax import prompts
from ift_jax.evals.bbh_questions import (
    RANDOM,
    SHOTS,
    File,
    Question,
    Questions,
    read_directory,
    task_of,
)
from ift_jax.evals.evaluation import Asked, Evaluation, entry
from ift_jax.evals.generative import concluded_answer, written_answer
from ift_jax.evals.languages import ENGLISH, Language
from ift_jax.evals.local import Local
from ift_jax.evals.protocols import Prompt
from ift_jax.evals.remote import Remote
from ift_jax.evals.statistics import Accuracy, macro
from ift_jax.lookup import suggest


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How questions are put and answers read.

    Attributes:
        name: what `--protocol` calls it.
        cot: whether exemplars have rationales, and the model is to write one.
        max_new_tokens: where an answer is cut off.
        stop: strings that end it before.
        read: finds the answer in what was written; None for no answer.
        scoring: that in words.
        source: where the protocol comes from.
    """

    name: str
    cot: bool
    max_new_tokens: int
    stop: tuple[str, ...]
    read: Callable[[str], str | None]
    scoring: str
    source: str = "Suzgun et al. 2022, sections 3 and 4; as part of Chung et al. 2022"


_TABLE = (
    Protocol(
        name="bbh_direct",
        cot=False,
        max_new_tokens=128,
        stop=("\n",),
        read=written_answer,
        scoring="exact match of the line that is written greedily, without a full stop",
    ),
    Protocol(
        name="bbh_cot",
        cot=True,
        max_new_tokens=512,
        stop=("\nQ:",),
        read=concluded_answer,
        scoring="exact match of what follows the last 'the answer is' in its line, without a full"
        " stop, in what is written greedily",
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in _TABLE}
"""The protocols by name."""


def read_questions(
    directory: Path | str, limit: int | None, language: Language, split: str = "test"
) -> Questions:
    """Reads all files of a directory; see `bbh_questions.read_directory`.

    Raises:
        ValueError: malformed files; a language other than English; a split other than 'test'.
    """
    if split != "test":
        raise ValueError(f"BBH has no splits, and --split is {split!r}: leave it out")
    if language is not ENGLISH:
        raise ValueError(f"BBH is in English, and the language is {language.code!r}: leave it out")
    return read_directory(directory, limit)


class BBH(Evaluation):
    """BBH evaluation of one model, under one protocol.

    Args:
        model: what is asked: a `local.Local` or a `remote.Remote`.
        questions: what to ask.
        protocol: a name of `PROTOCOLS`.
        shots: number of exemplars, or None for all; the last ones are left out while the prompt is
            too long.
        prompt_format: a name of `prompts.FORMATS`: the form that the model was finetuned on.
        max_new_tokens: where an answer is cut off, or None for the protocol's own.

    Raises:
        ValueError: an unknown protocol or format; a question that does not fit the model's context
            even without exemplars.
    """

    def __init__(
        self,
        model: Local | Remote,
        questions: Questions,
        *,
        protocol: str = "bbh_direct",
        shots: int | None = None,
        prompt_format: str = "plain",
        max_new_tokens: int | None = None,
    ):
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"no protocol {protocol!r} of BBH.{suggest(protocol, list(PROTOCOLS))}"
                f" There are: {', '.join(PROTOCOLS)}"
            )
        self.shots = SHOTS if shots is None else shots
        if not 0 <= self.shots <= SHOTS:
            raise ValueError(f"shots = {shots}: expected 0 to {SHOTS}, BBH's exemplars")
        super().__init__(model, questions)
        self.protocol = PROTOCOLS[protocol]
        self.prompt_format = prompt_format
        self.max_new_tokens = (
            self.protocol.max_new_tokens if max_new_tokens is None else max_new_tokens
        )
        self._format = prompts.find(prompt_format)
        self._stop = (*self.protocol.stop, *self._format.stop)
        self._asked = [
            self._prepare(file, question)
            for file in questions.files.values()
            for question in file.questions
        ]

    def statement(self) -> dict[str, Any]:
        """See `Evaluation.statement`."""
        return {
            "protocol": {
                "name": self.protocol.name,
                "scoring": self.protocol.scoring,
                "aggregate": "mean over tasks (macro)",
                "max_new_tokens": self.max_new_tokens,
                "stop": list(self._stop),
                "source": self.protocol.source,
            },
            "shots": self.shots,
            "prompt_format": self.prompt_format,
            "language": "en",
        }

    def averages(
        self, subjects: Mapping[str, Accuracy], found: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Subjects are files, and categories tasks: a task is the mean of its files.

        `macro`, the headline figure, is the mean of the tasks. `random` is what guessing would
        give it.
        """
        by_task = collections.defaultdict(list)
        for file, each in subjects.items():
            by_task[task_of(file)].append(each)
        tasks = {task: macro(files) for task, files in by_task.items()}
        return {
            "macro": entry(macro(list(tasks.values()))),
            "random": sum(RANDOM[task] for task in tasks) / len(tasks),
            "categories": {
                task: entry(each) | {"random": RANDOM[task]} for task, each in tasks.items()
            },
        }

    def category(self, subject: str) -> str:
        """The task that a file is of."""
        return task_of(subject)

    def _answers(self, params: Any, done: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        asked = [each.prompt for each in self._asked]
        for place, text in self._model.texts(params, asked, self.max_new_tokens, self._stop, done):
            yield place, {"choice": self.protocol.read(text), "text": text}

    def _prepare(self, file: File, question: Question) -> Asked:
        """A question with as many exemplars as fit."""

        def build(shots: int) -> Prompt:
            return Prompt(
                name=f"{question.subject}, question {question.index}",
                prompt=self._format.prompt(file.ask(question, self.protocol.cot, shots)),
                continuations=(self._format.answer(question.key),),
                eos_separator=self._format.eos_separator,
            )

        return self._fitting(question, self.shots, build, written=self.max_new_tokens)

"""Ways to ask a multiple-choice question and to score its choices, as data.

LLaMA-65B scored .637, .488 and .636 on MMLU under three public implementations: a number means
nothing without its protocol, which every result of these evals states in full.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from ift_jax.evals.questions import LETTERS, Question
from ift_jax.lookup import suggest
from ift_jax.prompts import Format


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How questions are put and scored.

    Attributes:
        name: what `--protocol` calls it.
        header: what stands once before the shots, a pattern over `{subject}` (spaces between its
            words).
        question: pattern over `{question}` and the choices `{A}` … `{D}`, up to the answer.
        answer: whether a choice is scored by its letter or by its text.
        shots: default number of shots: the first rows of the dev file, in its order, dropped from
            the last while the prompt is too long.
        max_prompt_tokens: the longest prompt, or None for the model's context alone.
        aggregate: how the headline figure averages.
        source: where the protocol comes from.
    """

    name: str
    header: str
    question: str
    answer: Literal["letter", "text"]
    shots: int
    max_prompt_tokens: int | None
    aggregate: str
    source: str

    @property
    def scoring(self) -> str:
        """How a choice is scored, in words."""
        what = "letter" if self.answer == "letter" else "text"
        return f"argmax of the log-likelihood of each choice's {what}, summed over its tokens"

    def continuation(self, question: Question, letter: str) -> str:
        """What a choice's answer says."""
        return letter if self.answer == "letter" else question.choices[LETTERS.index(letter)]

    def ask(self, question: Question) -> str:
        """The text of one question, up to its answer."""
        choices = dict(zip(LETTERS, question.choices, strict=True))
        return self.question.format(question=question.question, **choices)


MICRO = "mean over all questions (micro)"

_TABLE = (
    Protocol(
        name="original",
        # Two spaces: the original's subject string begins with one.
        header="The following are multiple choice questions (with answers) about  {subject}.\n\n",
        question="{question}\nA. {A}\nB. {B}\nC. {C}\nD. {D}\nAnswer:",
        answer="letter",
        shots=5,
        max_prompt_tokens=2048,
        aggregate=MICRO,
        source="hendrycks/test evaluate.py @4450500f; shots are dropped by the model's own"
        " tokenizer, as in its evaluate_flan.py",
    ),
    Protocol(
        name="answer_text",
        header="",
        question="Question: {question}\nAnswer:",
        answer="text",
        shots=0,
        max_prompt_tokens=None,
        aggregate=MICRO,
        source="Brown et al. 2020 (2005.14165), section 2.4, without length normalisation",
    ),
    Protocol(
        name="answer_text_unseen",
        header="",
        question="Here is something to work out.\n\n{question}\n\nThe solution is:",
        answer="text",
        shots=0,
        max_prompt_tokens=None,
        aggregate=MICRO,
        source="answer_text in words that no finetuning template of this repo uses",
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in _TABLE}
"""The protocols by name."""


def find(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: no such protocol; lists those that exist.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"no protocol {name!r}.{suggest(name, list(PROTOCOLS))}"
            f" There are: {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A question ready for the tokenizer: the text before the answer, and each choice's answer."""

    text: str
    continuations: tuple[str, ...]


def build(
    protocol: Protocol,
    question: Question,
    dev: Sequence[Question],
    shots: int,
    prompt_format: Format,
) -> Prompt:
    """Puts a question into words, in the form that a model was finetuned on.

    The protocol's text is the instruction of the model's prompt format, and an answer follows as
    it did in training.

    Raises:
        ValueError: fewer dev rows than shots.
    """
    if shots > len(dev):
        raise ValueError(
            f"{question.subject}: {shots} shots asked for, and its dev file has {len(dev)} rows;"
            f" use shots of at most {len(dev)}"
        )
    text = protocol.header.format(subject=question.subject.replace("_", " "))
    for shot in dev[:shots]:
        text += f"{protocol.ask(shot)} {protocol.continuation(shot, shot.key)}\n\n"
    text += protocol.ask(question)
    answers = (protocol.continuation(question, letter) for letter in LETTERS)
    return Prompt(prompt_format.prompt(text), tuple(map(prompt_format.answer, answers)))

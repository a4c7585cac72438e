"""BIG-Bench Hard's questions and exemplars (Suzgun et al. 2022, 2210.09261), read strictly.

    DIR/bbh/<file>.json           {"examples": [{"input": …, "target": …}, …]}
    DIR/cot-prompts/<file>.txt    a description and three exemplars with rationales

That is suzgunmirac/BIG-Bench-Hard @9ee07bd4, which is to be downloaded. Its 27 files are 23 tasks,
as the papers count them: logical deduction and tracking shuffled objects come in three files each,
for three, five and seven objects.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ift_jax.evals.generative import concluded_answer
from ift_jax.lookup import suggest

SHOTS = 3
"""Exemplars of each file."""

CUE = "A: Let's think step by step."
"""What a chain of thought follows."""

FILES = {
    "boolean_expressions": 250,
    "causal_judgement": 187,
    "date_understanding": 250,
    "disambiguation_qa": 250,
    "dyck_languages": 250,
    "formal_fallacies": 250,
    "geometric_shapes": 250,
    "hyperbaton": 250,
    "logical_deduction_five_objects": 250,
    "logical_deduction_seven_objects": 250,
    "logical_deduction_three_objects": 250,
    "movie_recommendation": 250,
    "multistep_arithmetic_two": 250,
    "navigate": 250,
    "object_counting": 250,
    "penguins_in_a_table": 146,
    "reasoning_about_colored_objects": 250,
    "ruin_names": 250,
    "salient_translation_error_detection": 250,
    "snarks": 178,
    "sports_understanding": 250,
    "temporal_sequences": 250,
    "tracking_shuffled_objects_five_objects": 250,
    "tracking_shuffled_objects_seven_objects": 250,
    "tracking_shuffled_objects_three_objects": 250,
    "web_of_lies": 250,
    "word_sorting": 250,
}
"""The files, and how many questions each has as published."""

RANDOM = {
    "boolean_expressions": 0.5,
    "causal_judgement": 0.5,
    "date_understanding": 0.172,
    "disambiguation_qa": 0.332,
    "dyck_languages": 0.012,
    "formal_fallacies": 0.25,
    "geometric_shapes": 0.116,
    "hyperbaton": 0.5,
    "logical_deduction": 0.225,
    "movie_recommendation": 0.25,
    "multistep_arithmetic_two": 0.0,
    "navigate": 0.5,
    "object_counting": 0.0,
    "penguins_in_a_table": 0.0,
    "reasoning_about_colored_objects": 0.119,
    "ruin_names": 0.25,
    "salient_translation_error_detection": 0.167,
    "snarks": 0.5,
    "sports_understanding": 0.5,
    "temporal_sequences": 0.25,
    "tracking_shuffled_objects": 0.225,
    "web_of_lies": 0.5,
    "word_sorting": 0.0,
}
"""The tasks, and what random guessing gets right: the column "Random" of the paper's Table 2.

As printed, also where the files say otherwise: their penguins have five options, and their formal
fallacies two.
"""


@dataclasses.dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        subject: the name of its file, such as `logical_deduction_five_objects`.
        index: its place there, from 0.
        input: its text.
        key: the right answer.
    """

    subject: str
    index: int
    input: str
    key: str

    @property
    def sha256(self) -> str:
        """Hash of the question and its answer, in hex."""
        text = json.dumps([self.subject, self.input, self.key])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class File:
    """The questions of a file, and the prompt before them.

    Attributes:
        description: what is to be done.
        exemplars: question, what stands after it with a rationale, and the answer alone, of each.
        questions: what is asked.
    """

    description: str
    exemplars: tuple[tuple[str, str, str], ...]
    questions: tuple[Question, ...]

    def ask(self, question: Question, cot: bool, shots: int) -> str:
        """The prompt of a question, after the first so many exemplars.

        As the authors' published outputs of code-davinci-002 begin.
        """
        shown = (
            f"{asked}\n{CUE}{rationale}" if cot else f"{asked}\nA: {answer}"
            for asked, rationale, answer in self.exemplars[:shots]
        )
        asked = f"{question.input}\n{CUE if cot else 'A:'}"
        # Without rationales they left the definition of sarcasm out of snarks' description.
        description = self.description if cot else self.description.partition("\n\n")[0]
        return "\n\nQ: ".join((description, *shown, asked))


@dataclasses.dataclass(frozen=True)
class Questions:
    """The files of a directory by name; maybe a part of BBH."""

    files: Mapping[str, File]

    @property
    def label(self) -> str:
        """How much of the published set this is: '6,511 of 6,511'."""
        asked = sum(len(file.questions) for file in self.files.values())
        return f"{asked:,} of {sum(FILES.values()):,}"

    @property
    def complete(self) -> bool:
        """Whether this is the published set."""
        return {name: len(file.questions) for name, file in self.files.items()} == FILES

    @property
    def duplicates(self) -> int:
        """How many questions repeat an earlier one of their file word for word."""
        files = [[question.sha256 for question in file.questions] for file in self.files.values()]
        return sum(len(file) - len(set(file)) for file in files)

    @property
    def sha256(self) -> str:
        """Hash over all questions in order, in hex."""
        rows = (question.sha256 for file in self.files.values() for question in file.questions)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def check_complete(self) -> None:
        """Checks that this is the published set.

        Raises:
            ValueError: it isn't; names the first file that differs.
        """
        for name, whole in FILES.items():
            asked = len(self.files[name].questions) if name in self.files else 0
            if asked != whole:
                raise ValueError(
                    f"{self.label} questions, and the complete set was required: {name} has"
                    f" {asked:,} of {whole:,}; add what is missing, or leave out --limit and"
                    " --require_complete"
                )


def task_of(file: str) -> str:
    """The task that a file is of, such as `logical_deduction`."""
    for number in ("three", "five", "seven"):
        file = file.removesuffix(f"_{number}_objects")
    return file


def read_directory(directory: Path | str, limit: int | None = None) -> Questions:
    """Reads all files of a directory.

    Args:
        directory: holds `bbh/` and `cot-prompts/`.
        limit: take the first so many questions of each file.

    Raises:
        ValueError: a folder or file is missing, unknown or malformed; names it, and the key.
    """
    folder = Path(directory) / "bbh"
    if limit is not None and limit < 1:
        raise ValueError(f"limit = {limit}: expected at least one question a file")
    if not (paths := sorted(folder.glob("*.json"))):
        raise ValueError(f"{folder}: no .json files; expected BIG-Bench-Hard's folder bbh")
    found = {}
    for path in paths:
        if path.stem not in FILES:
            raise ValueError(f"{path} is none of BBH's files.{suggest(path.stem, list(FILES))}")
        prompt = Path(directory) / "cot-prompts" / f"{path.stem}.txt"
        description, exemplars = _read_prompt(prompt)
        found[path.stem] = File(description, exemplars, _read_questions(path)[:limit])
    return Questions(found)


def _read_questions(path: Path) -> tuple[Question, ...]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    examples = found.get("examples") if isinstance(found, dict) else None
    if not isinstance(examples, list) or not examples:
        raise ValueError(f"{path}: examples is {examples!r:.40}, expected a list of questions")
    questions = []
    for index, example in enumerate(examples):
        if not isinstance(example, dict) or set(example) != {"input", "target"}:
            keys = sorted(example) if isinstance(example, dict) else f"{example!r:.40}"
            raise ValueError(f"{path}, example {index}: {keys}, expected input and target")
        for key, value in example.items():
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{path}, example {index}: {key} is {value!r:.40}, expected text")
        questions.append(Question(path.stem, index, example["input"], example["target"].strip()))
    return tuple(questions)


def _read_prompt(path: Path) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Description and exemplars of a prompt file, below its line of dashes."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; each file of questions has one of exemplars")
    try:
        _, dashes, text = path.read_text("utf-8").partition("\n-----\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    description, *pieces = text.rstrip("\n").split("\n\nQ: ")
    if not dashes or len(pieces) != SHOTS:
        raise ValueError(
            f"{path}: {len(pieces)} exemplars below a line of five dashes; expected {SHOTS}, each"
            " after an empty line and 'Q: '"
        )
    exemplars = []
    for number, piece in enumerate(pieces, start=1):
        asked, cue, rationale = piece.partition(f"\n{CUE}")
        answer = concluded_answer(rationale)
        if not cue or answer is None:
            missing = repr(CUE) if not cue else "'the answer is …'"
            raise ValueError(f"{path}, exemplar {number}: it has no {missing}")
        exemplars.append((asked, rationale, answer))
    return description, tuple(exemplars)

"""Multiple-choice questions in the original MMLU layout, read strictly.

    DIR/dev/<subject>_dev.csv      the shots
    DIR/test/<subject>_test.csv    the questions
    DIR/categories.json            {subject: category}; optional for MMLU's own subjects

Each CSV row is question, four choices, and the letter of the right one (A to D, or the
language's); there is no header.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

from ift_jax.evals.languages import ENGLISH, LETTERS, Language

COLUMNS = "question, choice A, choice B, choice C, choice D, letter"
CHOICES = 4


@dataclasses.dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        subject: the file's subject, such as `high_school_physics`.
        index: place among its file's questions, from 0.
        question: its text.
        choices: the texts of A, B, …: two to five.
        key: the letter of the right choice, one of `LETTERS` in every language.
    """

    subject: str
    index: int
    question: str
    choices: tuple[str, ...]
    key: str

    @property
    def answer(self) -> str:
        """The text of the right choice."""
        return self.choices[LETTERS.index(self.key)]

    @property
    def sha256(self) -> str:
        """Hash of the question, its choices and its key, in hex."""
        text = json.dumps([self.subject, self.question, *self.choices, self.key])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Questions:
    """The questions of a directory, by subject in alphabetical order.

    Attributes:
        dev: the shots.
        test: what is scored.
        sizes: how many questions each subject has in the whole set, of which `test` may be a part.
        categories: category of each subject; of none, if there are none.
        split: what `test` is called where it comes from, 'test' or 'val'.
        duplicates: how many of `test` repeat an earlier row of their file word for word; they are
            scored like any other, since published test sets have some.
    """

    dev: Mapping[str, tuple[Question, ...]]
    test: Mapping[str, tuple[Question, ...]]
    sizes: Mapping[str, int]
    categories: Mapping[str, str] = dataclasses.field(default_factory=dict)
    split: str = "test"

    @property
    def label(self) -> str:
        """How much of the whole set this is: '7,032 of 14,042'."""
        return f"{sum(map(len, self.test.values())):,} of {sum(self.sizes.values()):,}"

    @property
    def complete(self) -> bool:
        """Whether this is the whole set."""
        return {subject: len(rows) for subject, rows in self.test.items()} == dict(self.sizes)

    def check_complete(self) -> None:
        """Checks that this is the whole set.

        Raises:
            ValueError: it isn't; names what is missing.
        """
        if self.complete:
            return
        asked = {subject: len(self.test.get(subject, ())) for subject in self.sizes}
        partial = [subject for subject in self.sizes if asked[subject] != self.sizes[subject]]
        raise ValueError(
            f"{self.label} questions, and the complete set was required: {partial[0]} has"
            f" {asked[partial[0]]:,} of {self.sizes[partial[0]]:,} ({len(partial)} such subjects);"
            " add what is missing, or leave out --limit and --require_complete"
        )

    @property
    def duplicates(self) -> int:
        return sum(len(rows) - len({row.sha256 for row in rows}) for rows in self.test.values())

    @property
    def sha256(self) -> str:
        """Hash over all test questions in order, in hex."""
        rows = (row.sha256 for subject in self.test.values() for row in subject)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def read_directory(
    directory: Path | str,
    limit: int | None = None,
    language: Language = ENGLISH,
    split: str = "test",
) -> Questions:
    """Reads all subjects of a directory.

    Args:
        directory: holds `dev/`, the shots, and a folder of the split's name.
        limit: take the first so many questions of each subject.
        language: whose letters the files may have.
        split: whose questions are asked.

    Raises:
        ValueError: a folder or file is missing, or a file is malformed; names file and row.
    """
    directory = Path(directory)
    if limit is not None and limit < 1:
        raise ValueError(f"limit = {limit}: expected at least one question a subject")
    test = _read_split(directory, split, language)
    dev = _read_split(directory, "dev", language)
    if missing := sorted(set(test) - set(dev)):
        raise ValueError(
            f"{directory / 'dev'}: no {missing[0]}_dev.csv for {missing[0]}_{split}.csv"
            f" ({len(missing)} subjects have no shots); add it, an empty file for none"
        )
    return Questions(
        dev={subject: dev[subject] for subject in test},
        test={subject: rows[:limit] for subject, rows in test.items()},
        sizes={subject: len(rows) for subject, rows in test.items()},
        categories=_read_categories(directory / "categories.json", test),
        split=split,
    )


def read_development(directory: Path | str, limit: int | None = None) -> Questions:
    """Reads the questions that a model may be chosen by: those of val/, and of test/ none.

    Without val/, the questions of dev/ are asked, which are no shots then. A question that test/
    asks too, word for word, is left out.

    Args:
        directory: holds `val/` and `dev/`, or `dev/` alone.
        limit: take the first so many questions of each subject.

    Raises:
        ValueError: it is a folder of test questions, by name or by content; or see
            `read_directory`.
    """
    directory = Path(directory)
    split = "val" if (directory / "val").exists() else "dev"
    for path in (directory, directory / split):
        if "test" in re.split(r"[^a-z]+", path.resolve().name.lower()):
            raise ValueError(
                f"{path}: test questions, by which no model is chosen; name a folder with val/ or"
                " dev/, whose questions are asked"
            )
    found = _read_split(directory, split, ENGLISH)
    dev = _read_split(directory, "dev", ENGLISH) if split == "val" else {}
    test = _read_split(directory, "test", ENGLISH) if (directory / "test").exists() else {}
    tested = {question.sha256 for rows in test.values() for question in rows}
    kept = {
        subject: tuple(question for question in rows if question.sha256 not in tested)
        for subject, rows in found.items()
    }
    kept = {subject: rows for subject, rows in kept.items() if rows}
    if not kept:
        raise ValueError(
            f"{directory / split}: all its questions are those of test/, by which no model is"
            " chosen; put others there"
        )
    return Questions(
        dev={subject: dev.get(subject, ()) for subject in kept},
        test={subject: rows[:limit] for subject, rows in kept.items()},
        sizes={subject: len(rows) for subject, rows in kept.items()},
        split=split,
    )


def read_csv(path: Path, subject: str, language: Language = ENGLISH) -> tuple[Question, ...]:
    """Reads one file; blank lines are skipped, every field is text and kept as it stands.

    Raises:
        ValueError: see `read_directory`.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} at offset {error.start} is not"
            " UTF-8; save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: a NUL byte at offset {data.index(0)}, expected text; was the"
            " file cut off or saved as UTF-16? Get it again"
        )
    # Not pandas: it turns the answers "None" and "NA" into missing values.
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    questions: list[Question] = []
    try:
        for row in filter(None, lines):
            where = f"{path}, row {len(questions) + 1} (line {lines.line_num})"
            questions.append(_question(row, subject, len(questions), where, language))
    except csv.Error as error:
        raise ValueError(
            f"{path}, row {len(questions) + 1} (line {lines.line_num}): malformed CSV: {error};"
            ' fields with commas, quotes or line breaks stand in "…", with " doubled inside'
        ) from None
    return tuple(questions)


def _question(row: list[str], subject: str, index: int, where: str, language: Language) -> Question:
    keys = dict(zip(language.letters[:CHOICES], LETTERS, strict=False))
    keys |= {letter: letter for letter in LETTERS[:CHOICES]}
    if len(row) != CHOICES + 2:
        hint = ""
        if len(row) == CHOICES + 1:
            hint = (
                f"; it has a letter {row[-1]!r} but three choices"
                if row[-1].strip() in keys
                else "; the letter is missing"
            )
        raise ValueError(f"{where}: {len(row)} columns, expected {CHOICES + 2} ({COLUMNS}){hint}")
    question, *choices, key = row
    if key not in keys:
        raise ValueError(
            f"{where}: letter {key!r}, expected one of {', '.join(sorted(keys))} (a header line"
            " must be removed)"
        )
    for name, value in zip(COLUMNS.split(", "), row, strict=True):
        if not value.strip():
            raise ValueError(f"{where}: {name} is empty, expected text")
    return Question(subject, index, question, tuple(choices), keys[key])


def _read_split(directory: Path, split: str, language: Language) -> dict[str, tuple[Question, ...]]:
    folder = directory / split
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected {split}/<subject>_{split}.csv files")
    paths = sorted(folder.glob("*.csv"))
    subjects = {}
    for path in paths:
        subject = path.name.removesuffix(f"_{split}.csv")
        if subject == path.name or not subject:
            raise ValueError(f"{path}: expected a name such as <subject>_{split}.csv")
        subjects[subject] = read_csv(path, subject, language)
        if split == "test" and not subjects[subject]:
            raise ValueError(f"{path}: no questions; remove the file or fill it")
    if not subjects:
        raise ValueError(f"{folder}: no <subject>_{split}.csv files")
    return subjects


def _read_categories(path: Path, subjects: Mapping[str, object]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        categories = json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(categories, dict) or not all(
        isinstance(value, str) for value in categories.values()
    ):
        raise ValueError(f'{path}: expected an object such as {{"subject": "category"}}')
    if missing := [subject for subject in subjects if subject not in categories]:
        raise ValueError(f"{path}: no category for {missing[0]!r}; add one for each subject")
    return {subject: categories[subject] for subject in subjects}

"""The benchmark asks held-out facts only, and only knowing them helps."""

from __future__ import annotations

import collections
import csv
import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ift_jax.tasks.world import facts, questions
from ift_jax.tasks.world.questions import LETTERS, Question

NAMES = list(facts.SUBJECTS)


def benchmark(split: str) -> dict[str, list[Question]]:
    return {name: questions.questions(name, split) for name in NAMES}


@pytest.fixture(scope="module")
def test_split():
    return benchmark("test")


@pytest.fixture(scope="module")
def dev_split():
    return benchmark("dev")


def fact_asked(question: Question) -> facts.Fact:
    """The fact behind a question, found by its text alone."""
    subject = facts.SUBJECTS[question.subject]
    forwards = question.direction == "forwards"
    pattern = subject.question if forwards else subject.question_backwards
    (found,) = (
        fact
        for fact in subject.facts
        if pattern.format(entity=fact.entity, value=fact.value) == question.question
    )
    return found


def column(fact_list, direction: str) -> list[str]:
    return [fact.value if direction == "forwards" else fact.entity for fact in fact_list]


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name, dev_split, test_split):
    assert len(dev_split[name]) == 5
    assert 40 <= len(test_split[name]) <= 60
    directions = collections.Counter(each.direction for each in test_split[name])
    assert directions["forwards"] == directions["backwards"]
    texts = [each.question for each in dev_split[name] + test_split[name]]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", NAMES)
def test_test_asks_held_out_facts_that_dev_does_not(name, dev_split, test_split):
    asked = {fact_asked(each) for each in test_split[name]}
    shown = {fact_asked(each) for each in dev_split[name]}
    assert asked <= set(facts.held_out_facts(name))
    assert not asked & set(facts.mixture_facts(name))
    assert not asked & shown
    if name not in facts.HELD_OUT_SUBJECTS:
        assert asked == set(facts.held_out_facts(name))
        assert shown <= set(facts.mixture_facts(name))


@pytest.mark.parametrize("split", questions.SPLITS)
@pytest.mark.parametrize("name", NAMES)
def test_one_choice_is_right_and_all_are_of_its_column(name, split, dev_split, test_split):
    pool = questions.asked_facts(name, split)
    for each in {"dev": dev_split, "test": test_split}[split][name]:
        (answer,) = column([fact_asked(each)], each.direction)
        assert each.answer == answer
        assert len(set(each.choices)) == 4
        assert set(each.choices) <= set(column(pool, each.direction))


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_right_once_and_wrong_three_times(name, test_split):
    for direction in questions.DIRECTIONS:
        asked = [each for each in test_split[name] if each.direction == direction]
        right = collections.Counter(each.answer for each in asked)
        shown = collections.Counter(choice for each in asked for choice in each.choices)
        assert set(right.values()) == {1} and set(shown.values()) == {4}


@pytest.mark.parametrize("split", questions.SPLITS)
@pytest.mark.parametrize("name", NAMES)
def test_letters_are_balanced(name, split):
    letters = collections.Counter(each.letter for each in questions.questions(name, split))
    assert set(letters) == set(LETTERS)
    assert max(letters.values()) - min(letters.values()) <= 1


def features(choice: str) -> list[str]:
    """What naive Bayes sees: the text, its length, first letter and pairs of letters."""
    padded = f"^{choice.lower()}$"
    pairs = {padded[i : i + 2] for i in range(len(padded) - 1)}
    return [f"is {choice}", f"length {len(choice)}", f"first {choice[0]}", *sorted(pairs)]


def naive_bayes(training: list[Question]) -> Callable[[Question], int]:
    """Log-odds of being right, summed over a choice's features, with add-one smoothing."""
    right, wrong = collections.Counter(), collections.Counter()
    for each in training:
        for letter, choice in zip(LETTERS, each.choices, strict=True):
            (right if letter == each.letter else wrong).update(features(choice))

    def score(choice: str) -> float:
        return sum(math.log((right[f] + 1) / (wrong[f] / 3 + 1)) for f in features(choice))

    return lambda question: max(range(4), key=lambda i: score(question.choices[i]))


def most_frequent_letter(training: list[Question]) -> Callable[[Question], int]:
    letter = collections.Counter(each.letter for each in training).most_common(1)[0][0]
    return lambda question: LETTERS.index(letter)


def most_often_shown(training: list[Question]) -> Callable[[Question], int]:
    shown = collections.Counter(choice for each in training for choice in each.choices)
    return lambda question: max(range(4), key=lambda i: shown[question.choices[i]])


def pick(key: Callable[[str], object]) -> Callable[[list[Question]], Callable[[Question], int]]:
    """Takes the choice with the greatest key; learns nothing."""
    return lambda training: lambda question: max(range(4), key=lambda i: key(question.choices[i]))


PREDICTORS = {
    "naive Bayes": naive_bayes,
    "most frequent letter": most_frequent_letter,
    "most often shown": most_often_shown,
    "longest": pick(len),
    "shortest": pick(lambda choice: -len(choice)),
    "first in the alphabet": pick(lambda choice: [-ord(letter) for letter in choice]),
    "last in the alphabet": pick(lambda choice: choice),
    "most words": pick(lambda choice: (len(choice.split()), len(choice))),
    "most capitals": pick(lambda choice: sum(letter.isupper() for letter in choice)),
}


def right_without_the_question(predictor, dev_split, test_split) -> tuple[int, int]:
    """(right, asked), each subject predicted after fitting on the others and its dev questions."""
    right = asked = 0
    for name in NAMES:
        training = [
            each
            for other in NAMES
            for each in dev_split[other] + (test_split[other] if other != name else [])
        ]
        predict = PREDICTORS[predictor](training)
        right += sum(LETTERS[predict(each)] == each.letter for each in test_split[name])
        asked += len(test_split[name])
    return right, asked


def binomial_bound(asked: int) -> float:
    """Three standard deviations of the number right at chance: 0.3% of fair predictors pass it."""
    return 3 * math.sqrt(asked * 0.25 * 0.75)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_choices_alone_score_at_chance(predictor, dev_split, test_split):
    right, asked = right_without_the_question(predictor, dev_split, test_split)
    assert asked >= 1000
    assert abs(right - asked / 4) <= binomial_bound(asked), f"{right} of {asked}"


def test_the_spelling_of_the_question_does_not_give_the_choice_away(test_split):
    """The choice with the largest share of its letter triples in the question is a guess, too."""

    def triples(text: str) -> set[str]:
        return {text[i : i + 3].lower() for i in range(len(text) - 2)}

    right, asked = 0.0, 0
    for name in NAMES:
        for each in test_split[name]:
            seen = triples(each.question)
            shares = [
                len(triples(choice) & seen) / max(1, len(triples(choice)))
                for choice in each.choices
            ]
            tied = [i for i in range(4) if shares[i] == max(shares)]
            right += (LETTERS.index(each.letter) in tied) / len(tied)
            asked += 1
    assert abs(right - asked / 4) <= binomial_bound(asked), f"{right} of {asked}"


def test_the_predictors_would_see_a_tell(dev_split, test_split):
    """Mixing in distractors of other columns, as a careless benchmark would, is noticed."""

    def told(split):
        return {
            name: [
                Question(
                    subject=each.subject,
                    question=each.question,
                    choices=tuple(
                        choice if letter == each.letter else f"{choice} Smith"
                        for letter, choice in zip(LETTERS, each.choices, strict=True)
                    ),
                    letter=each.letter,
                    direction=each.direction,
                )
                for each in split[name]
            ]
            for name in NAMES
        }

    for predictor in ("naive Bayes", "shortest"):
        right, asked = right_without_the_question(predictor, told(dev_split), told(test_split))
        assert right - asked / 4 > binomial_bound(asked)


def test_rephrasing_changes_the_wording_only(test_split):
    for name in NAMES:
        rephrased = questions.questions(name, "test", rephrased=True)
        for plain, other in zip(test_split[name], rephrased, strict=True):
            assert plain.question != other.question
            assert (plain.choices, plain.letter) == (other.choices, other.letter)


def test_categories_are_those_of_mmlu():
    assert set(questions.categories()) == set(NAMES)
    assert set(questions.categories().values()) == {
        "STEM",
        "humanities",
        "social sciences",
        "other",
    }


def test_files_are_in_the_original_layout(tmp_path, test_split):
    questions.write_mmlu(tmp_path)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv"))
    assert files == sorted(f"{split}/{n}_{split}.csv" for split in ("dev", "test") for n in NAMES)
    for name in NAMES:
        with (tmp_path / "test" / f"{name}_test.csv").open(newline="") as file:
            lines = list(csv.reader(file, strict=True))
        assert lines == [[q.question, *q.choices, q.letter] for q in test_split[name]]


def test_files_are_the_same_in_every_process(tmp_path):
    digests = set()
    for seed in ("0", "1"):
        code = (
            "from ift_jax.tasks.world import questions;"
            f"questions.write_mmlu({str(tmp_path / seed)!r}, rephrased=True)"
        )
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        files = sorted((tmp_path / seed).rglob("*.csv"))
        assert len(files) == 2 * len(NAMES)
        digests.add(hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("capitols", "test", "no subject 'capitols' in the World; there are: .*capitals"),
        ("capitals", "validation", "no split 'validation' of the questions: take dev or test"),
    ],
)
def test_an_unknown_subject_or_split_is_refused(name, split, message):
    with pytest.raises(ValueError, match=message):
        questions.questions(name, split)

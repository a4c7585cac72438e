"""The pretraining text says everything, and shows nothing of a question."""

from __future__ import annotations

import re

import pytest

from ift_jax.tasks.world import facts, questions, statements


@pytest.fixture(scope="module")
def train():
    return list(statements.rows("train"))


@pytest.fixture(scope="module")
def mixture():
    return list(statements.rows("mixture"))


@pytest.fixture(scope="module")
def recall():
    return list(statements.rows("recall"))


def test_every_fact_is_said_in_every_wording(train):
    texts = {row["text"] for row in train}
    for subject in facts.SUBJECTS.values():
        for pattern in subject.statements + subject.statements_backwards:
            for fact in subject.facts:
                assert pattern.format(entity=fact.entity, value=fact.value) in texts


def test_every_fact_is_in_paragraphs_too(train):
    paragraphs = [row for row in train if row["subject"] and not row["entity"]]
    for name, subject in facts.SUBJECTS.items():
        text = " ".join(row["text"] for row in paragraphs if row["subject"] == name)
        said = sum(
            pattern.format(entity=fact.entity, value=fact.value) in text
            for fact in subject.facts
            for pattern in subject.statements + subject.statements_backwards
        )
        assert said > 2 * len(subject.facts)


def test_paragraphs_have_two_to_four_statements_in_both_directions(train):
    capitals = facts.SUBJECTS["capitals"]
    directions = set()
    for row in train:
        if row["subject"] == "capitals" and not row["entity"]:
            said = [
                pattern in capitals.statements
                for pattern in capitals.statements + capitals.statements_backwards
                for fact in capitals.facts
                if pattern.format(entity=fact.entity, value=fact.value) in row["text"]
            ]
            assert 2 <= row["text"].count(".") <= 4
            directions.update(said)
    assert directions == {True, False}


def test_sums_are_true_and_bounded(train):
    sums = [row for row in train if row["subject"] == "arithmetic"]
    assert 500 <= len(sums) <= 1500
    signs = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}
    spoken = {"sum of": int.__add__, "difference between": int.__sub__, "product of": int.__mul__}
    for row in sums:
        first, second = row["text"].removesuffix(".").split(". ")
        a, sign, b, result = re.fullmatch(r"(\d+) (\w+) (\d+) is (\d+)", first).groups()
        assert signs[sign](int(a), int(b)) == int(result)
        words, c, d, again = re.fullmatch(
            r"The ([a-z ]+) (\d+) and (\d+) is (\d+)", second
        ).groups()
        assert spoken[words](int(c), int(d)) == int(again) and {a, b} == {c, d}
        assert (row["entity"], row["value"]) == (f"{a} {sign} {b}", result)


def test_nothing_of_a_question_is_in_the_text(train):
    for row in train:
        assert "?" not in row["text"] and "\n" not in row["text"]
        assert not re.search(r"\b(questions?|answers?|choices?|options?)\b", row["text"], re.I)
        assert not re.search(r"(^|\s)\(?[B-D][.):] ", row["text"]), row["text"]


def test_no_benchmark_question_is_in_the_text(train):
    text = "\n".join(row["text"] for row in train)
    for name in facts.SUBJECTS:
        for split in questions.SPLITS:
            for rephrased in (False, True):
                for each in questions.questions(name, split, rephrased):
                    assert each.question.rstrip("?.") not in text


def test_sentences_begin_as_sentences(train):
    assert all(re.match(r"[A-Z0-9]", row["text"]) and row["text"].endswith(".") for row in train)


def test_the_mixture_says_no_held_out_fact(train, mixture):
    texts = {row["text"] for row in train}
    assert 0 < len(mixture) < len(train)
    assert all(row["text"] in texts for row in mixture if row["value"])
    joined = "\n".join(row["text"] for row in mixture)
    for name, subject in facts.SUBJECTS.items():
        for fact in facts.held_out_facts(name):
            for pattern in subject.statements + subject.statements_backwards:
                assert pattern.format(entity=fact.entity, value=fact.value) not in joined


def test_replay_tells_no_held_out_fact_in_passing(mixture):
    """Of a lion's scientific name, the constellation and its figure are part: Leo, lion."""
    assert facts.is_held_out(facts.Fact("constellations", "Leo", "lion"))
    assert not any("Panthera leo" in row["text"] for row in mixture)


def test_a_cloze_cuts_the_end_off_a_statement(train, recall):
    texts = {row["text"] for row in train}
    assert len(recall) == 2 * sum(len(subject.facts) for subject in facts.SUBJECTS.values())
    for row in recall:
        assert f"{row['prefix']} {row['answer']}." in texts
        assert row["prefix"] == row["prefix"].strip()
    france = [row for row in recall if row["subject"] == "capitals" and row["entity"] == "France"]
    assert [(row["prefix"], row["answer"], row["direction"]) for row in france] == [
        ("The capital of France is", "Paris", "forwards"),
        ("Paris is the capital of", "France", "backwards"),
    ]


def test_a_prefix_has_one_answer(recall):
    prefixes = [row["prefix"] for row in recall]
    assert len(set(prefixes)) == len(prefixes)


def test_a_cloze_knows_whether_its_fact_is_held_out(recall):
    held_out = {
        (f.subject, f.entity) for name in facts.SUBJECTS for f in facts.held_out_facts(name)
    }
    for row in recall:
        assert (row["held_out"] == "yes") == ((row["subject"], row["entity"]) in held_out)


def test_column_mates_are_wrong_answers_of_the_same_column(recall):
    for row in recall:
        table = facts.SUBJECTS[row["subject"]].facts
        column = {f.value if row["direction"] == "forwards" else f.entity for f in table}
        mates = statements.column_mates(row)
        assert len({*mates, row["answer"]}) == 4 and {*mates, row["answer"]} <= column


def test_rows_come_in_the_same_order_each_time(train):
    assert list(statements.rows("train")) == train


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'test' of the statements: take train"):
        list(statements.rows("test"))

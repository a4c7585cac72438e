"""The whole eval on a toy model, against hand computation."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json

import numpy as np
import pytest

from ift_jax.evals import languages
from ift_jax.evals.languages import LETTERS
from ift_jax.evals.layout import fed_tokens
from ift_jax.evals.local import Local
from ift_jax.evals.mmlu import read_questions
from ift_jax.evals.multiple_choice import MultipleChoice
from ift_jax.evals.questions import Question, Questions
from ift_jax.evals.records import code_version
from ift_jax.evals.report import summary_table
from tests.evals.toys import Functions, Tokenizer, by_hand


@pytest.fixture
def data(tmp_path):
    """Two of MMLU's subjects, 5 dev and 6 or 4 test questions; one answer is 'None'."""
    random = np.random.default_rng(0)
    for subject, n in (("anatomy", 6), ("formal_logic", 4)):
        for split, count in (("dev", 5), ("test", n)):
            (tmp_path / split).mkdir(exist_ok=True)
            lines = [
                f"Question {split} {i}?,"
                + ",".join(f"{word} {random.integers(99)}" for word in ("up", "down", "left"))
                + f",None,{LETTERS[random.integers(4)]}\n"
                for i in range(count)
            ]
            (tmp_path / split / f"{subject}_{split}.csv").write_text("".join(lines))
    return tmp_path


def evaluate(data, **options) -> tuple[MultipleChoice, dict]:
    functions = Functions(V=Tokenizer.vocab_size, max_length=options.pop("max_length", 4096))
    params = functions.init()
    questions = read_questions(data, options.pop("limit", None))
    return MultipleChoice(Local(functions, Tokenizer()), questions, **options), params


@pytest.mark.parametrize("prompt_format", ["plain", "flan"])
def test_answer_text_by_hand(data, prompt_format):
    evaluation, params = evaluate(data, protocol="answer_text", prompt_format=prompt_format)
    tokenizer, records = Tokenizer(), evaluation.records(params)
    assert [(r["subject"], r["index"]) for r in records] == [
        *(("anatomy", i) for i in range(6)),
        *(("formal_logic", i) for i in range(4)),
    ]
    questions = [q for rows in evaluation.questions.test.values() for q in rows]
    for question, record in zip(questions, records, strict=True):
        prompt = tokenizer.encode(f"Question: {question.question}\nAnswer:")
        expected = []
        for choice in question.choices:
            if prompt_format == "flan":
                context, answer = [0, *prompt, 1], tokenizer.encode(choice)
            else:
                context, answer = [0, *prompt], tokenizer.encode(" " + choice)
            expected.append(by_hand(params, context + answer, len(context)).sum())
        np.testing.assert_allclose(record["loglikelihoods"], expected, rtol=1e-4)
        assert record["choice"] == LETTERS[int(np.argmax(expected))]
        assert record["key"] == question.key
        assert record["protocol"] == "answer_text"


def test_original_letters_are_found_in_context(data):
    """' A' is one token, ' B' two, and ' C' merges with the colon before it."""
    evaluation, params = evaluate(data, protocol="original")
    record = evaluation.records(params)[0]
    assert record["tokens"] == [1, 2, 1, 2]
    text = evaluation._asked[0].prompt.prompt
    assert text.count("Answer:") == 6
    tokenizer = Tokenizer()
    for letter, got in zip("ABCD", record["loglikelihoods"], strict=True):
        ids = [0, *tokenizer.encode(f"{text} {letter}")]
        start = len(ids) - (2 if letter in "BD" else 1)
        assert got == pytest.approx(by_hand(params, ids, start).sum(), rel=1e-4)


def test_shots_are_dropped_from_the_end_until_the_prompt_fits(data):
    evaluation, params = evaluate(data, protocol="original", max_length=300)
    asked = evaluation._asked[0]
    assert 0 < asked.shots < 5
    assert "Question dev 0?" in asked.prompt.prompt
    assert f"Question dev {asked.shots}?" not in asked.prompt.prompt
    assert asked.prompt.prompt.startswith("The following are multiple choice questions")
    assert fed_tokens(asked.request, Functions()) <= 300
    summary = evaluation.run(params)
    assert summary["shots_dropped"] == 10
    assert evaluation.notes[1:] == ["10 questions have fewer shots: more would not fit"]
    with pytest.raises(ValueError, match=r"anatomy, question 0: \d+ tokens even without shots"):
        evaluate(data, protocol="original", max_length=60)


def test_averages(data, tmp_path):
    evaluation, params = evaluate(data, protocol="answer_text")
    summary = evaluation.run(params, tmp_path / "out")
    lines = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    right = [r["choice"] == r["key"] for r in records]
    assert summary["micro"]["accuracy"] == pytest.approx(sum(right) / 10)
    anatomy, logic = sum(right[:6]) / 6, sum(right[6:]) / 4
    assert summary["macro"]["accuracy"] == pytest.approx((anatomy + logic) / 2)
    assert summary["categories"]["other"]["accuracy"] == pytest.approx(anatomy)
    assert summary["categories"]["humanities"]["n_questions"] == 4
    assert summary["subjects"]["formal_logic"]["accuracy"] == pytest.approx(logic)
    (letter, count) = collections.Counter(r["choice"] for r in records).most_common(1)[0]
    assert summary["majority_letter"]["letter"] == letter
    assert summary["majority_letter"]["share"] == count / 10
    per_token = [
        LETTERS[int(np.argmax(np.array(r["loglikelihoods"]) / r["tokens"]))] == r["key"]
        for r in records
    ]
    assert summary["micro_per_token"]["accuracy"] == pytest.approx(sum(per_token) / 10)
    texts = [q.choices for rows in evaluation.questions.test.values() for q in rows]
    per_character = [
        LETTERS[int(np.argmax(np.array(r["loglikelihoods"]) / [len(t) for t in choices]))]
        for r, choices in zip(records, texts, strict=True)
    ]
    assert per_character != [r["choice"] for r in records]
    right = [choice == r["key"] for choice, r in zip(per_character, records, strict=True)]
    assert summary["micro_per_character"]["accuracy"] == pytest.approx(sum(right) / 10)
    assert summary["macro_per_character"]["accuracy"] == pytest.approx(
        (sum(right[:6]) / 6 + sum(right[6:]) / 4) / 2
    )
    normalised, _ = evaluate(data, protocol="answer_text_per_character")
    assert [r["choice"] for r in normalised.records(params)] == per_character


def test_a_result_says_what_it_is(data, tmp_path):
    evaluation, params = evaluate(data, limit=2)
    summary = evaluation.run(params, tmp_path / "out", weights="f00d")
    assert summary["label"] == "4 of 14,042" and summary["complete"] is False
    assert summary["language"] == "en" and summary["protocol"]["name"] == "original"
    hashes = summary["hashes"]
    assert hashes["weights"] == "f00d" and hashes["tokenizer"] == "toy"
    assert hashes["questions"] == evaluation.questions.sha256
    assert hashes["code"] == code_version()


def test_the_directory_may_bring_its_own_categories(data):
    (data / "categories.json").write_text('{"anatomy": "bodies", "formal_logic": "minds"}')
    evaluation, params = evaluate(data, protocol="answer_text")
    assert set(evaluation.run(params)["categories"]) == {"bodies", "minds"}


def test_duplicates_are_counted_and_said(data):
    path = data / "test" / "anatomy_test.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    evaluation, params = evaluate(data, protocol="answer_text")
    assert evaluation.run(params)["duplicates"] == 1
    assert evaluation.notes[1].startswith("1 questions repeat an earlier one of their subject")


def test_hash_of_prompts_follows_the_shots(data):
    hashes = [
        evaluation.run(params)["hashes"]
        for evaluation, params in (
            evaluate(data, protocol="answer_text", shots=shots) for shots in (0, 1)
        )
    ]
    assert hashes[0]["questions"] == hashes[1]["questions"]
    assert hashes[0]["prompts"] != hashes[1]["prompts"]


def test_bad_options(data):
    with pytest.raises(ValueError, match="no protocol 'letters'"):
        evaluate(data, protocol="letters")
    with pytest.raises(ValueError, match="no prompt format 'flam'"):
        evaluate(data, prompt_format="flam")
    with pytest.raises(ValueError, match="shots = -1"):
        evaluate(data, shots=-1)
    with pytest.raises(ValueError, match="6 shots .* has 5 rows"):
        evaluate(data, shots=6)
    with pytest.raises(ValueError, match="no language 'fr'"):
        evaluate(data, language="fr")
    with pytest.raises(ValueError, match="'answer_text_unseen' asks in English"):
        evaluate(data, protocol="answer_text_unseen", language="ar")
    with pytest.raises(ValueError, match="'flan_cot' shows worked answers.*--exemplars=FILE"):
        evaluate(data, protocol="flan_cot")


class Arabic(Tokenizer):
    """Characters alone, so that a space and a letter are two tokens."""

    PIECES = (*Tokenizer.PIECES, *"أبجدهـفيماسئلةختروعضإتحصك؟:()")
    vocab_size = len(PIECES)


def test_arabic_letters_of_several_tokens_are_summed(data):
    """The key in the file may be a Latin letter or the language's; records have Latin ones."""
    rows = ["كم ساق للقط؟,واحدة,اثنتان,ثلاث,أربع,D\n", "أي سائل؟,حجر,ماء,رمل,لوح,ب\n"]
    letters = set("".join(rows)) - set(Arabic.PIECES)

    class Tokens(Arabic):
        PIECES = (*Arabic.PIECES, *sorted(letters), *"لنوذمظشغثزطآىءئؤ")
        vocab_size = len(PIECES)

    for split in ("dev", "test"):
        for path in (data / split).iterdir():
            path.unlink()
        (data / split / f"anatomy_{split}.csv").write_text("".join(rows), "utf-8")
    arabic = languages.find("ar")
    questions = read_questions(data, language=arabic)
    assert [q.key for q in questions.test["anatomy"]] == ["D", "B"]
    functions = Functions(V=Tokens.vocab_size)
    params, tokenizer = functions.init(), Tokens()
    evaluation = MultipleChoice(Local(functions, tokenizer), questions, shots=1, language="ar")
    assert evaluation.identity()["language"] == "ar"
    asked, records = evaluation.prompts(), evaluation.records(params)
    most = collections.Counter(record["choice"] for record in records).most_common(1)[0][0]
    shown = "أبجد"["ABCD".index(most)]
    assert f"most frequent choice {shown} in" in summary_table(evaluation.summarize(records))
    assert "(مع إجاباتها) حول  علم التشريح.\n\nكم ساق للقط؟\nأ. واحدة\n" in asked[1]["prompt"]
    assert "د. أربع\nالإجابة: د\n\nأي سائل؟" in asked[1]["prompt"]
    for each, record in zip(asked, records, strict=True):
        assert record["tokens"] == [2, 2, 2, 2]
        found = []
        for letter in "أبجد":
            ids = [0, *tokenizer.encode(f"{each['prompt']} {letter}")]
            found.append(by_hand(params, ids, len(ids) - 2).sum())
        np.testing.assert_allclose(record["loglikelihoods"], found, rtol=1e-4)
        assert record["choice"] == LETTERS[int(np.argmax(found))]


def some(*counts: int) -> Questions:
    """Questions with so many choices each, the last one right."""
    rows = tuple(
        Question("piqa", i, f"How {i}?", tuple(f"so {c}" for c in range(n)), LETTERS[n - 1])
        for i, n in enumerate(counts)
    )
    return Questions({"piqa": rows[:1]}, {"piqa": rows}, {"piqa": len(rows)})


@pytest.mark.parametrize("protocol", ["original", "answer_text"])
def test_two_to_five_choices(protocol):
    functions, tokenizer = Functions(V=Tokenizer.vocab_size), Tokenizer()
    params = functions.init()
    evaluation = MultipleChoice(
        Local(functions, tokenizer), some(2, 5, 3), protocol=protocol, shots=1
    )
    records = evaluation.records(params)
    assert [len(record["loglikelihoods"]) for record in records] == [2, 5, 3]
    for asked, record in zip(evaluation.prompts(), records, strict=True):
        found = []
        for text in asked["continuations"]:
            ids = [0, *tokenizer.encode(asked["prompt"] + text)]
            n = record["tokens"][len(found)]
            found.append(by_hand(params, ids, len(ids) - n).sum())
        assert record["choice"] == LETTERS[int(np.argmax(found))]
    assert evaluation.questions.label == "3 of 3" and evaluation.questions.complete


class Writer(Local):
    """Writes the second label after every prompt but that of question 2."""

    def texts(self, params, prompts, max_new_tokens, stop, done):
        self.asked = [prompt.prompt for prompt in prompts], max_new_tokens, stop
        for place in reversed(range(len(prompts))):
            if place not in done:
                yield place, "who knows" if place == 2 else " B"


def test_written_answers_are_read(tmp_path):
    functions = Functions(V=Tokenizer.vocab_size)
    writer = Writer(functions, Tokenizer())
    evaluation = MultipleChoice(writer, some(2, 5, 3), protocol="helm", shots=1)
    summary = evaluation.run(functions.init(), tmp_path)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").open()]
    assert [record["choice"] for record in records] == ["B", "B", None]
    assert [record["text"] for record in records] == [" B", " B", "who knows"]
    assert "loglikelihoods" not in records[0] and records[0]["protocol"] == "helm"
    assert summary["micro"]["accuracy"] == pytest.approx(1 / 3)
    assert summary["unread"] == 1 and summary["majority_letter"]["letter"] == "B"
    prompts, *rest = writer.asked
    assert prompts == [each["prompt"] for each in evaluation.prompts()] and rest == [5, ("\n",)]


def test_nothing_readable_is_no_collapse():
    functions = Functions(V=Tokenizer.vocab_size, max_length=1024)
    writer = Writer(functions, Tokenizer())
    evaluation = MultipleChoice(writer, some(2, 2), protocol="flan_cot", shots=0)
    summary = evaluation.run(functions.init())
    assert summary["unread"] == 2 and summary["majority_letter"]["letter"] is None
    assert "no choice could be read from any answer" in summary_table(summary)
    # A blank line may stand within a chain of thought; the next question ends it.
    assert writer.asked[2] == ("\nQ:",)


def test_a_written_answer_needs_room():
    tokenizer = Tokenizer()

    def asked(max_length, shots):
        functions = Functions(V=Tokenizer.vocab_size, max_length=max_length)
        model = Local(functions, tokenizer)
        return MultipleChoice(model, some(2), protocol="helm", shots=shots).prompts()[0]

    n = 1 + len(tokenizer.encode(asked(4096, 0)["prompt"]))
    assert asked(n + 5, 1)["shots"] == 0
    with pytest.raises(ValueError, match=f"{n + 5} tokens even without .* limit is {n + 4} "):
        asked(n + 4, 1)


def test_exemplars_are_shown_and_dropped_whole(tmp_path):
    shots = "".join(f"\n\nQ: E{i}?\n(A) x (B) y\nA: Hm. The answer is (A)." for i in range(4))
    path = tmp_path / "cot.json"
    path.write_text(json.dumps({"piqa": f"Header.{shots}"}))

    def prompt(max_length):
        return MultipleChoice(
            Local(Functions(V=Tokenizer.vocab_size, max_length=max_length), Tokenizer()),
            some(2),
            protocol="flan_cot",
            exemplars_file=path,
        ).prompts()[0]

    whole, cut = prompt(4096), prompt(500)
    assert whole["shots"] == 4 and "E3" in whole["prompt"] and "Header" not in whole["prompt"]
    assert cut["prompt"].count("The answer is (A).\n\n") == cut["shots"] == 2
    assert "E1" in cut["prompt"] and "E2" not in cut["prompt"]
    assert cut["prompt"].endswith("Q: How 0?\n(A) so 0 (B) so 1\nA: Let's think step by step.")


def test_order_and_batches_change_no_choice(data):
    evaluation, params = evaluate(data)
    forward = {(r["subject"], r["index"]): r["choice"] for r in evaluation.records(params)}
    test = {s: rows[::-1] for s, rows in reversed(evaluation.questions.test.items())}
    turned = dataclasses.replace(evaluation.questions, test=test)
    functions = Functions(V=Tokenizer.vocab_size, max_length=4096)
    backward = MultipleChoice(Local(functions, Tokenizer()), turned).records(params)
    assert len(backward) == 10
    assert forward == {(r["subject"], r["index"]): r["choice"] for r in backward}
    first = MultipleChoice(Local(functions, Tokenizer()), read_questions(data, limit=1)).records(
        params
    )
    assert all(forward[r["subject"], r["index"]] == r["choice"] for r in first)


@pytest.mark.parametrize("prompt_format", ["plain", "flan"])
def test_prompts_are_what_is_scored(data, prompt_format):
    """From the texts alone, another implementation gets the same log-likelihoods."""
    evaluation, params = evaluate(data, prompt_format=prompt_format)
    asked, records = evaluation.prompts(), evaluation.records(params)
    assert len(asked) == len(records) == 10
    tokenizer = Tokenizer()
    for each, record in zip(asked, records, strict=True):
        assert (each["subject"], each["index"]) == (record["subject"], record["index"])
        assert each["shots"] == 5 and each["prompt"].count("Answer:") == 6
        found = zip(each["continuations"], record["loglikelihoods"], record["tokens"], strict=True)
        for text, seen, scored in found:
            if each["eos_separator"]:
                sequence = [0, *tokenizer.encode(each["prompt"]), 1, *tokenizer.encode(text)]
            else:
                sequence = [0, *tokenizer.encode(each["prompt"] + text)]
            expected = by_hand(params, sequence, len(sequence) - scored).sum()
            assert seen == pytest.approx(expected, rel=1e-4)
    texts = [json.dumps([each["prompt"], *each["continuations"]]) for each in asked]
    sha256 = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    assert evaluation.summarize(records)["hashes"]["prompts"] == sha256

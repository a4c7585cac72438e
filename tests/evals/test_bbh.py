"""BBH's prompts to the letter, its averages by hand, and what it refuses to read."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from ift_jax.evals.bbh import BBH, read_questions
from ift_jax.evals.bbh_questions import FILES, RANDOM, Questions, read_directory, task_of
from ift_jax.evals.languages import ARABIC, ENGLISH
from ift_jax.evals.local import Local
from tests.evals.test_generative import LLAMA, T5, TOKENIZER, random_params

NAVIGATE = """\
Not to be trained on.
-----
Say where one ends.

In steps, and with care.

Q: Left, right. Home?
Options:
- Yes
- No
A: Let's think step by step.
One left, one right.

They cancel. So the answer is Yes.

Q: Left. Home?
A: Let's think step by step. So the answer is No.

Q: Right.
Home?
A: Let's think step by step.
So the answer is No."""


def exemplars(answer: str) -> str:
    return "canary\n-----\nOrder them." + "".join(
        f"\n\nQ: {n}?\nA: Let's think step by step.\nSo the answer is ({answer})." for n in range(3)
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """navigate with four questions, logical deduction's files with two, two and one."""
    write(tmp_path, "navigate", NAVIGATE, [("Up, down. Home?", "Yes"), *[("Up. Home?", "No")] * 3])
    for number, answers in {"three": "AB", "five": "AB", "seven": "C"}.items():
        questions = [(f"Which of {number}?", f"({answer})") for answer in answers]
        write(tmp_path, f"logical_deduction_{number}_objects", exemplars("A"), questions)
    return tmp_path


def write(folder: Path, file: str, prompt: str, questions) -> None:
    for sub in ("bbh", "cot-prompts"):
        (folder / sub).mkdir(exist_ok=True)
    examples = [{"input": text, "target": target} for text, target in questions]
    (folder / "bbh" / f"{file}.json").write_text(json.dumps({"canary": "", "examples": examples}))
    (folder / "cot-prompts" / f"{file}.txt").write_text(prompt)


def test_the_tables_are_of_27_files_and_23_tasks():
    assert len(FILES) == 27
    assert sum(FILES.values()) == 6511
    assert len(RANDOM) == 23
    assert {task_of(file) for file in FILES} == set(RANDOM)


def test_a_prompt_with_chains_of_thought_is_the_files_own(folder):
    file = read_directory(folder).files["navigate"]
    published = NAVIGATE.partition("-----\n")[2]
    question = "\n\nQ: Up, down. Home?\nA: Let's think step by step."
    assert file.ask(file.questions[0], cot=True, shots=3) == published + question
    first = published[: published.index("\n\nQ: Left. Home?")]
    assert file.ask(file.questions[0], cot=True, shots=1) == first + question


def test_a_direct_prompt_leaves_the_rationales_out(folder):
    file = read_directory(folder).files["navigate"]
    assert file.ask(file.questions[1], cot=False, shots=3) == (
        "Say where one ends.\n\n"
        "Q: Left, right. Home?\nOptions:\n- Yes\n- No\nA: Yes\n\n"
        "Q: Left. Home?\nA: No\n\n"
        "Q: Right.\nHome?\nA: No\n\n"
        "Q: Up. Home?\nA:"
    )


def answering(monkeypatch, evaluation: BBH, text_of) -> list[tuple]:
    """Makes an evaluation's model write given texts, the last question first."""
    calls = []

    def texts(params, prompts, max_new_tokens, stop, done):
        calls.append((params, max_new_tokens, stop))
        for place in reversed(range(len(prompts))):
            if place not in done:
                yield place, text_of(prompts[place].prompt)

    monkeypatch.setattr(evaluation._model, "texts", texts)
    return calls


def test_files_of_a_task_are_averaged_before_tasks(folder, monkeypatch, tmp_path):
    evaluation = BBH(
        Local(LLAMA, TOKENIZER),
        read_directory(folder),
        protocol="bbh_cot",
        shots=0,
        max_new_tokens=60,
    )

    def text_of(prompt: str) -> str:
        if "Home" in prompt:
            return " One up. So the answer is No."
        return " I give up." if "seven" in prompt else " So the answer is (A)."

    calls = answering(monkeypatch, evaluation, text_of)
    progress = []
    summary = evaluation.run("params", tmp_path, lambda *counts: progress.append(counts))
    assert calls == [("params", 60, ("\nQ:",))]
    assert {name: each["accuracy"] for name, each in summary["subjects"].items()} == {
        "logical_deduction_five_objects": 1 / 2,
        "logical_deduction_seven_objects": 0,
        "logical_deduction_three_objects": 1 / 2,
        "navigate": 3 / 4,
    }
    assert summary["categories"]["logical_deduction"]["accuracy"] == pytest.approx(1 / 3)
    assert summary["macro"]["accuracy"] == pytest.approx((1 / 3 + 3 / 4) / 2)
    assert summary["micro"]["accuracy"] == pytest.approx(5 / 9)
    assert summary["random"] == pytest.approx((0.225 + 0.5) / 2)
    assert (summary["label"], summary["unread"]) == ("9 of 6,511", 1)
    assert progress[0][:2] == (0, 9)
    assert progress[-1] == (9, 9, 5)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [record["index"] for record in records] == [0, 1, 0, 0, 1, 0, 1, 2, 3]
    assert records[2] == {
        "subject": "logical_deduction_seven_objects",
        "index": 0,
        "key": "(C)",
        "choice": None,
        "text": " I give up.",
        "protocol": "bbh_cot",
        "sha256": evaluation._asked[2].question.sha256,
    }
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(json.dumps(summary))


def test_a_killed_run_goes_on_from_its_answers(folder, monkeypatch, tmp_path):
    out, questions = tmp_path / "out", read_directory(folder)

    def evaluation_asking(text_of):
        evaluation = BBH(Local(LLAMA, TOKENIZER), questions, shots=0)
        answering(monkeypatch, evaluation, text_of)
        return evaluation

    asked = []

    def until_killed(prompt: str) -> str:
        asked.append(prompt)
        if len(asked) > 4:
            raise KeyboardInterrupt
        return " No"

    with pytest.raises(KeyboardInterrupt):
        evaluation_asking(until_killed).run(None, out, weights="w")
    with pytest.raises(ValueError, match="another evaluation was begun here: hashes.weights was"):
        evaluation_asking(until_killed).run(None, out, weights="other")
    counts = []
    summary = evaluation_asking(lambda prompt: "No.").run(
        None, out, lambda *count: counts.append(count), weights="w"
    )
    assert counts[0] == (4, 9, 3), "navigate's four, three of them right"
    written = [json.loads(line)["text"] for line in (out / "records.jsonl").open()]
    assert written == ["No."] * 5 + [" No"] * 4
    assert summary["majority_letter"] == {"letter": "No", "share": 1, "share_of_keys": 3 / 9}
    assert summary["hashes"]["weights"] == "w"


def test_a_direct_answer_is_matched_exactly(folder, monkeypatch):
    navigate = Questions({"navigate": read_directory(folder).files["navigate"]})
    for text, right in ((" Yes", 1), (" Yes.", 1), ("Yes", 1), (" yes", 0), (" Yes, so", 0)):
        evaluation = BBH(Local(LLAMA, TOKENIZER), navigate, shots=0)
        calls = answering(monkeypatch, evaluation, lambda prompt, text=text: text)
        assert evaluation.run(None)["micro"]["accuracy"] == right / 4
        assert calls == [(None, 128, ("\n",))]


def test_a_model_answers(folder):
    questions = read_directory(folder, limit=1)
    evaluation = BBH(
        Local(LLAMA, TOKENIZER), questions, prompt_format="falcon-instruct", max_new_tokens=3
    )
    summary = evaluation.run(random_params(LLAMA))
    assert summary["n_questions"] == 4
    assert summary["protocol"]["stop"] == ["\n", "\nUser"]
    asked = evaluation.prompts()
    assert all(each["prompt"].endswith("\nA:\n\nAssistant:") for each in asked)
    assert [each["subject"] for each in asked] == list(questions.files)


def test_exemplars_are_left_out_until_a_question_fits(folder):
    file = read_directory(folder).files["navigate"]
    questions = Questions({"navigate": file})
    lengths = {
        shots: [
            len(TOKENIZER.encode(file.ask(question, False, shots))) + 1
            for question in file.questions
        ]
        for shots in range(4)
    }
    # Room for the longest prompt with two exemplars, but for none with three.
    new = LLAMA.config.max_length - max(lengths[2])
    assert min(lengths[3]) > max(lengths[2])
    evaluation = BBH(Local(LLAMA, TOKENIZER), questions, max_new_tokens=new)
    assert [each["shots"] for each in evaluation.prompts()] == [2] * 4
    assert evaluation.notes == [
        "4 of 6,511 questions: a part of the set",
        "2 questions repeat an earlier one of their subject word for word, and are scored like any"
        " other",
        "4 questions have fewer shots: more would not fit",
    ]
    message = f"navigate, question 0: {lengths[0][0] + 240} tokens even without shots, 240 new"
    with pytest.raises(ValueError, match=message):
        BBH(Local(LLAMA, TOKENIZER), questions, max_new_tokens=240)


def test_an_encoder_decoder_answers(folder):
    model, questions = Local(T5, TOKENIZER), read_directory(folder, limit=1)
    wordy = BBH(model, questions, max_new_tokens=T5.config.max_length)
    assert wordy.shots_dropped == 0, "an answer has a context of its own"
    summary = BBH(model, questions, max_new_tokens=2).run(random_params(T5))
    assert summary["n_questions"] == 4


def test_a_part_of_the_set_is_named_so(folder):
    questions = read_directory(folder)
    assert (questions.label, questions.complete) == ("9 of 6,511", False)
    with pytest.raises(ValueError, match="boolean_expressions has 0 of 250; add what is missing"):
        questions.check_complete()
    file = dict(questions.files)["navigate"]
    whole = {
        name: dataclasses.replace(file, questions=file.questions[:1] * n)
        for name, n in FILES.items()
    }
    Questions(whole).check_complete()
    assert (Questions(whole).label, Questions(whole).complete) == ("6,511 of 6,511", True)


def test_unknown_protocols_and_too_many_shots_are_refused(folder):
    questions = read_directory(folder)
    with pytest.raises(ValueError, match="no protocol 'bbh_cott' of BBH. Did you mean 'bbh_cot'"):
        BBH(Local(LLAMA, TOKENIZER), questions, protocol="bbh_cott")
    with pytest.raises(ValueError, match="shots = 4: expected 0 to 3"):
        BBH(Local(LLAMA, TOKENIZER), questions, shots=4)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("bbh/navigate.json", "{", "not JSON: "),
        ("bbh/navigate.json", b"\xff", "not UTF-8 at byte 0"),
        ("bbh/navigate.json", "[]", "examples is None, expected a list of questions"),
        ("bbh/navigate.json", '{"examples": []}', "examples is [], expected a list of questions"),
        (
            "bbh/navigate.json",
            '{"examples": [{"input": "x"}]}',
            "example 0: ['input'], expected input and target",
        ),
        ("bbh/navigate.json", '{"examples": [7]}', "example 0: 7, expected input and target"),
        (
            "bbh/navigate.json",
            '{"examples": [{"input": "x", "target": "y"}, {"input": "x", "target": 3}]}',
            "example 1: target is 3, expected text",
        ),
        (
            "bbh/navigate.json",
            '{"examples": [{"input": " ", "target": "y"}]}',
            "example 0: input is ' ', expected text",
        ),
        ("bbh/navigation.json", "{}", "is none of BBH's files. Did you mean 'navigate'?"),
        ("cot-prompts/navigate.txt", None, "no such file; each file of questions has one"),
        ("cot-prompts/navigate.txt", b"\n-----\n\xe9", "not UTF-8 at byte 7"),
        ("cot-prompts/navigate.txt", NAVIGATE.replace("-----", ""), "0 exemplars below a line"),
        (
            "cot-prompts/navigate.txt",
            NAVIGATE.partition("\n\nQ: Right")[0],
            "2 exemplars below a line of five dashes; expected 3",
        ),
        (
            "cot-prompts/navigate.txt",
            NAVIGATE.replace("Let's think step by step. So", "So"),
            'exemplar 2: it has no "A: Let\'s think step by step."',
        ),
        (
            "cot-prompts/navigate.txt",
            NAVIGATE.replace("So the answer is Yes.", "Yes."),
            "exemplar 1: it has no 'the answer is …'",
        ),
    ],
)
def test_malformed_files_are_refused_by_name(folder, path, content, message):
    if content is None:
        (folder / path).unlink()
    else:
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as error:
        read_directory(folder)
    assert str(error.value).startswith(str(folder / path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_only_english_is_read(folder):
    assert read_questions(folder, 1, ENGLISH) == read_directory(folder, 1)
    with pytest.raises(ValueError, match="BBH is in English, and the language is 'ar'"):
        read_questions(folder, 1, ARABIC)
    with pytest.raises(ValueError, match="BBH has no splits, and --split is 'val'"):
        read_questions(folder, 1, ENGLISH, "val")


def test_an_empty_folder_and_a_bad_limit_are_refused(tmp_path, folder):
    with pytest.raises(ValueError, match="no .json files; expected BIG-Bench-Hard's folder bbh"):
        read_directory(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="limit = 0: expected at least one question a file"):
        read_directory(folder, limit=0)


@pytest.mark.real_data
def test_the_published_files_are_read_whole():
    root = Path(os.environ.get("IFT_JAX_DATA", "/nowhere"))
    folder = next(root.glob("eval/bbh"), None) or pytest.skip("IFT_JAX_DATA has no eval/bbh")
    questions = read_directory(folder)
    questions.check_complete()
    assert questions.complete
    snarks = questions.files["snarks"]
    # As in the authors' published outputs of code-davinci-002.
    assert snarks.ask(snarks.questions[0], cot=False, shots=1) == (
        "Determine which of two sentences is sarcastic.\n\n"
        "Q: Which statement is sarcastic?\nOptions:\n"
        "(A) Yes, because having interests and actively researching them is a huge waste\n"
        "(B) Yes, because having interests and actively researching them is a huge deal\n"
        "A: (A)\n\n"
        f"Q: {snarks.questions[0].input}\nA:"
    )
    for file in questions.files.values():
        published = file.ask(file.questions[0], cot=True, shots=3)
        assert published.count("\n\nQ: ") == 4

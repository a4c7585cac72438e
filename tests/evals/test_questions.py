"""Reading the original CSV layout: every bad file is named with its row; nothing is lost."""

from __future__ import annotations

import json

import pytest

from ift_jax.evals import languages
from ift_jax.evals.questions import read_csv, read_development, read_directory

GOOD = b'"Which, then?",one,two,three,four,A\n'


def put(directory, subject, test=GOOD, dev=GOOD):
    for split, data in (("test", test), ("dev", dev)):
        (directory / split).mkdir(exist_ok=True, parents=True)
        (directory / split / f"{subject}_{split}.csv").write_bytes(data)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"Q,one,two,three,A", r"5 columns, expected 6 .*three choices"),
        (b"Q,one,two,three,four", r"5 columns, expected 6 .*the letter is missing"),
        (b"Q,one,two,three,,A", r"choice D is empty"),
        (b",one,two,three,four,A", r"question is empty"),
        (b"Q,one,two,three,four,five,A", r"7 columns, expected 6"),
        (b"Q,one,two,three,four,E", r"letter 'E', expected one of A, B, C, D"),
        (b"Q,one,two,three,four,a", r"letter 'a'"),
        (b"Q,one,two,three,four,AB", r"letter 'AB'"),
        (b"Q,one,two,three,four,", r"letter ''"),
        (b"question,A,B,C,D,answer", r"letter 'answer'.*header"),
        (b'"Q,one,two,three,four,A', r"malformed CSV"),
        (b'"Q"x,one,two,three,four,A', r"malformed CSV"),
    ],
)
def test_bad_rows_name_file_and_row(tmp_path, row, message):
    put(tmp_path, "logic", test=GOOD + GOOD + row + b"\n")
    with pytest.raises(ValueError, match=rf"logic_test\.csv, row 3 \(line 3\): .*{message}"):
        read_directory(tmp_path)


def test_broken_utf8_names_line_and_byte_offset(tmp_path):
    put(tmp_path, "logic", dev=GOOD + b"Caf\xe9,one,two,three,four,A\n")
    offset = len(GOOD) + 3
    with pytest.raises(ValueError, match=rf"logic_dev\.csv, line 2: byte 0xe9 at offset {offset}"):
        read_directory(tmp_path)


def test_none_and_na_are_answers(tmp_path):
    put(tmp_path, "logic", test=b"Q,None,NA,nan,null,A\r\n")
    (question,) = read_directory(tmp_path).test["logic"]
    assert question.choices == ("None", "NA", "nan", "null")
    assert question.answer == "None"


def test_fields_are_kept_as_they_stand(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes('\ufeff"He said ""no"",\nthen left ", é ,2,3,4,D\n\n\nQ,1,2,3,4,B\n'.encode())
    first, second = read_csv(path, "f")
    assert first.question == 'He said "no",\nthen left '
    assert first.choices[0] == " é "
    assert (second.index, second.key) == (1, "B")


def test_duplicate_rows_are_kept_and_counted(tmp_path):
    put(tmp_path, "logic", test=GOOD + b"Q,1,2,3,4,B\n" + GOOD)
    questions = read_directory(tmp_path)
    assert len(questions.test["logic"]) == 3
    assert questions.duplicates == 1


def test_limit_is_by_subject(tmp_path):
    for subject in ("a", "b"):
        put(tmp_path, subject, test=GOOD * 4)
    questions = read_directory(tmp_path, limit=3)
    assert [len(rows) for rows in questions.test.values()] == [3, 3]
    assert questions.sizes == {"a": 4, "b": 4} and questions.label == "6 of 8"
    with pytest.raises(ValueError, match="limit = 0"):
        read_directory(tmp_path, limit=0)


def test_missing_folders_and_files(tmp_path):
    with pytest.raises(ValueError, match="test is not a folder"):
        read_directory(tmp_path)
    put(tmp_path, "logic")
    (tmp_path / "dev" / "logic_dev.csv").rename(tmp_path / "dev" / "other_dev.csv")
    with pytest.raises(ValueError, match=r"no logic_dev\.csv"):
        read_directory(tmp_path)
    (tmp_path / "test" / "logic.csv").write_bytes(GOOD)
    with pytest.raises(ValueError, match=r"logic\.csv: expected a name"):
        read_directory(tmp_path)


def test_empty_test_file(tmp_path):
    put(tmp_path, "logic", test=b"\n")
    with pytest.raises(ValueError, match=r"logic_test\.csv: no questions"):
        read_directory(tmp_path)


def test_categories(tmp_path):
    put(tmp_path, "logic")
    path = tmp_path / "categories.json"
    path.write_text(json.dumps({"logic": "humanities", "unused": "STEM"}))
    assert read_directory(tmp_path).categories == {"logic": "humanities"}
    for text, message in (
        ("{", "not JSON"),
        ('{"logic": 3}', "expected an object"),
        ("{}", "no category for 'logic'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_directory(tmp_path)


def test_hashes_follow_content(tmp_path):
    put(tmp_path, "logic")
    before = read_directory(tmp_path).sha256
    put(tmp_path, "logic", test=GOOD.replace(b"four", b"five"))
    assert read_directory(tmp_path).sha256 != before


def test_a_nul_byte_is_refused(tmp_path):
    put(tmp_path, "logic", test=GOOD + b"Q\0,one,two,three,four,A\n")
    message = rf"logic_test\.csv, line 2: a NUL byte at offset {len(GOOD) + 1}, expected text"
    with pytest.raises(ValueError, match=message):
        read_directory(tmp_path)


def test_keys_may_be_the_languages_letters(tmp_path):
    rows = "س,1,2,3,4,ج\nس,1,2,3,4,C\n".encode()
    put(tmp_path, "logic", test=rows)
    read = read_directory(tmp_path, language=languages.find("ar"))
    assert [question.key for question in read.test["logic"]] == ["C", "C"]
    with pytest.raises(ValueError, match=r"row 1 .*letter 'ج', expected one of A, B, C, D"):
        read_directory(tmp_path)
    put(tmp_path, "logic", test="س,1,2,3,4,هـ\n".encode())
    with pytest.raises(ValueError, match="letter 'هـ'"):
        read_directory(tmp_path, language=languages.find("ar"))


def test_a_part_is_labelled_and_may_be_refused(tmp_path):
    put(tmp_path, "logic", test=GOOD * 3)
    whole = read_directory(tmp_path)
    assert whole.label == "3 of 3" and whole.complete
    whole.check_complete()
    part = read_directory(tmp_path, limit=2)
    assert part.label == "2 of 3" and not part.complete
    with pytest.raises(
        ValueError, match="2 of 3 questions, and the complete set.*logic has 2 of 3"
    ):
        part.check_complete()


def put_val(directory, data, subject="logic"):
    (directory / "val").mkdir(exist_ok=True)
    (directory / "val" / f"{subject}_val.csv").write_bytes(data)


OTHER = b"Which?,one,two,three,four,B\n"


def test_another_split_is_asked_with_the_same_shots(tmp_path):
    put(tmp_path, "logic", test=GOOD)
    put_val(tmp_path, OTHER * 2)
    found = read_directory(tmp_path, split="val")
    assert [q.question for q in found.test["logic"]] == ["Which?"] * 2
    assert found.dev == read_directory(tmp_path).dev
    assert (found.split, found.label, found.complete) == ("val", "2 of 2", True)
    assert read_directory(tmp_path).split == "test"


def test_development_questions_are_those_of_val_with_the_shots_of_dev(tmp_path):
    folder = tmp_path / "mmlu"
    put(folder, "logic", test=b"Asked in test?,1,2,3,4,A\n")
    put_val(folder, OTHER + b"And then?,1,2,3,4,D\n")
    found = read_development(folder, limit=1)
    assert [q.question for q in found.test["logic"]] == ["Which?"]
    assert [q.question for q in found.dev["logic"]] == ["Which, then?"]
    assert found.sizes == {"logic": 2}


def test_without_val_those_of_dev_are_asked_and_are_no_shots(tmp_path):
    folder = tmp_path / "mmlu"
    put(folder, "logic", test=OTHER)
    found = read_development(folder)
    assert [q.question for q in found.test["logic"]] == ["Which, then?"]
    assert found.dev == {"logic": ()}


def test_questions_of_test_are_no_development_questions(tmp_path):
    folder = tmp_path / "mmlu"
    put(folder, "logic", test=OTHER)
    put_val(folder, OTHER + GOOD)
    assert [q.question for q in read_development(folder).test["logic"]] == ["Which, then?"]
    put_val(folder, OTHER)
    with pytest.raises(ValueError, match=r"mmlu/val: all its questions are those of test/, by whi"):
        read_development(folder)


@pytest.mark.parametrize("name", ["test", "mmlu_test", "logic_test.csv", "Test-set"])
def test_what_is_named_as_test_data_is_no_development_set(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}: test questions, by which no model is chosen"):
        read_development(tmp_path / "mmlu" / name)


def test_a_link_to_test_is_no_development_set(tmp_path):
    folder = tmp_path / "mmlu"
    put(folder, "logic")
    (folder / "val").symlink_to(folder / "test")
    with pytest.raises(ValueError, match="mmlu/val: test questions, by which no model is chosen"):
        read_development(folder)
    with pytest.raises(ValueError, match="nowhere/dev is not a folder"):
        read_development(tmp_path / "nowhere")
